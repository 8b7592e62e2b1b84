import { Option, type Command } from 'commander';
import type { CommandProcess } from '../command-process.js';
import type { ExportOptions } from './audit-export.js';
import { FILTERS, QUESTIONS, withOptions } from './audit-filters.js';
import { choice, group, organizationOption, remote, valuesOf, wholeNumber, withPages, withTimes } from './options.js';

/** `keyledger audit …` on a server. */
export function addAuditCommands(program: Command, host: CommandProcess): Command {
  const audit = group(program, 'audit', 'list, follow, export and check the audit log of an organization');
  withPages(
    withTimes(withFilters(audit.command('list').description('list events, the newest first'))).option(
      '--oldest-first',
      'list the oldest first',
    ),
    'events',
  )
    .addHelpText('after', "\n  keyledger audit list --type 'api_key.*' --from 7d --ip 203.0.113.0/24")
    .action(remote(async (options) => (await import('./audit-list.js')).listEvents(options, host)));
  withFilters(audit.command('tail').description('show events as they happen, until Ctrl-C'))
    .option('--after <INDEX>', 'start after this event instead of now', wholeNumber)
    .option('--json', 'print each event as the server sends it, one per line')
    .addHelpText(
      'after',
      `
If the connection is lost, the command connects again and continues where it was. Ctrl-C ends it with exit code 0.

  keyledger audit tail --outcome revoked,expired
  keyledger audit tail --json | jq .event.subject`,
    )
    .action(remote(async (options) => (await import('./audit-tail.js')).tailEvents(options, host)));
  withTimes(withFilters(audit.command('export').description('export the audit log, the oldest first')))
    .addOption(choice('--format <FORMAT>', 'JSON Lines, or CSV for spreadsheets (default: jsonl)', FORMATS))
    .option('--output <FILE>', 'the file to write (default: standard output); it is either complete or not there')
    .option('--proofs', 'everything that `audit verify` needs, without filters; needs --organization')
    .addHelpText(
      'after',
      '\n  keyledger audit export --from 2026-01-01 --to 2026-02-01 --format csv --output january.csv',
    )
    .action(remote(async (options) => (await import('./audit-export.js')).exportEvents(options, host)));
  withPages(
    withOptions(
      audit
        .command('organizations')
        .description('list the organizations whose audit log has a value; only for operators'),
      QUESTIONS,
    ),
    'organizations',
  )
    .addHelpText('after', '\nGive one of these values.\n\n  keyledger audit organizations --ip 203.0.113.9')
    .action(remote(async (options) => (await import('./audit-organizations.js')).findOrganizations(options, host)));
  return audit;
}

function withFilters(command: Command): Command {
  command.addOption(organizationOption('the organization of the audit log (default: your own)'));
  withOptions(command, FILTERS);
  for (const [flags, what] of FILTERS) command.addOption(new Option(`--not-${flags}`, `no ${what}`).hideHelp());
  return command.addHelpText(
    'after',
    '\nEach filter has an opposite: `--not-ip 203.0.113.0/24` leaves out what `--ip 203.0.113.0/24` finds.',
  );
}

const FORMATS = valuesOf<NonNullable<ExportOptions['format']>>({ jsonl: true, csv: true });
