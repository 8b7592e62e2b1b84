import { InvalidArgumentError, Option, type Command } from 'commander';
import { keyTextNames } from '#libs/contract/api-key-texts.js';
import type { RateLimit } from '#libs/contract/rate-limits.js';
import type { CommandProcess } from '../command-process.js';
import type { CreateKeyOptions, ListKeysOptions, UpdateKeyOptions } from './keys.js';
import { noTextOption, textOption } from './key-text-options.js';
import type { ExportOptions } from './audit-export.js';
import { FILTERS, QUESTIONS, withOptions } from './audit-filters.js';
import { rateLimitOf } from './rate-limit.js';
import { momentOf } from './times.js';
import type { UsageOptions } from './usage.js';

/** Adds the commands that call a server anywhere, over the same HTTP API that every client uses. */
export function addRemoteCommands(program: Command, host: CommandProcess): { readonly audit: Command } {
  program.commandsGroup('Commands for any server:');
  addAccount(program, host);
  addKeys(program, host);
  addCatalogue(program, host);
  const audit = addAudit(program, host);
  addUsage(program, host);
  return { audit };
}

function addAccount(program: Command, host: CommandProcess): void {
  program
    .command('login')
    .description('sign in until `keyledger logout`')
    .option('--url <URL>', 'the address of the server (default: KEYLEDGER_URL, or the last server)')
    .addOption(new Option('--email <EMAIL>', 'the email of the account').conflicts('apiKey'))
    .option('--api-key', 'sign in with an API key instead of a password')
    // The command rejects excess arguments itself: the library would print them, and one may be a password.
    .allowExcessArguments()
    .addHelpText(
      'after',
      `
The command asks for the password or the key and does not show it. In a pipe it reads one line from standard input. Neither
is ever an argument, because every process of the machine can read arguments.

  keyledger login --url https://keys.example.com --email ada@example.com
  pass show keyledger | keyledger login --email ada@example.com
  keyledger login --api-key < key.txt

The credential is in $XDG_CONFIG_HOME/keyledger/credentials.json (by default below ~/.config), which only you can read.
On a machine without a person, set KEYLEDGER_URL and KEYLEDGER_API_KEY instead. The key replaces the one in the file.`,
    )
    .action(
      remote(async (options, command: Command) => (await import('./account.js')).login(options, command.args, host)),
    );
  program
    .command('logout')
    .description('end the session and remove the stored credential')
    .action(remote(async () => (await import('./account.js')).logout(host)));
  program
    .command('whoami')
    .description('show the account or the key that you use')
    .addOption(jsonOption())
    .action(remote(async (options) => (await import('./account.js')).whoami(options, host)));
}

function addKeys(program: Command, host: CommandProcess): void {
  const keys = group(program, 'keys', 'list, create, update, rotate, disable, enable and revoke API keys');
  addKeyList(keys, host);
  addKeyCreation(keys, host);
  addKeyUpdate(keys, host);
  addKeyLife(keys, host);
}

function addKeyList(keys: Command, host: CommandProcess): void {
  withPages(
    keys
      .command('list')
      .description('list API keys, the newest first')
      .addOption(organizationOption())
      .addOption(projectOption())
      .addOption(choice('--status <STATUS>', 'only keys with this status', STATUSES))
      .addOption(choice('--environment <ENVIRONMENT>', 'only keys of this environment', ENVIRONMENTS))
      .option(
        '--search <TEXT>',
        'a text in the name, the description or the external id; or an id or a key, of which only the beginning is sent',
      )
      .option('--unused-for-days <DAYS>', 'only keys that were not used for so many days', wholeNumber)
      .addOption(choice('--sort <ORDER>', 'the order; a minus means descending', SORTS)),
    'keys',
  )
    .addHelpText('after', '\n  keyledger keys list --status active --sort=-last_used_at')
    .action(remote(async (options: ListKeysOptions) => (await import('./keys.js')).listKeys(options, host)));
}

function addKeyCreation(keys: Command, host: CommandProcess): void {
  withTexts(
    keys
      .command('create')
      .description('create an API key; its secret is shown only once')
      .argument('<NAME>', 'the name of the key'),
  )
    .option('--scope <SCOPE>', 'a scope of the key; repeat it for more (default: all that you may grant)', collect)
    .addOption(organizationOption('the organization of the key (default: your own)'))
    .addOption(projectOption('the project to which the key is limited'))
    .addOption(
      choice(
        '--environment <ENVIRONMENT>',
        'the environment of the key (default: a setting of the server)',
        ENVIRONMENTS,
      ),
    )
    .option('--expires-in-days <DAYS>', 'days until the key expires (default: never)', wholeNumber)
    .option('--allowed-ip <ADDRESS>', 'an address or network that may use the key; repeat it for more', collect)
    .option('--rate-limit <LIMIT>', 'a rate limit, such as per-minute=100/60s; repeat it for more', collectRateLimit)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
In a pipe, standard output has only the key:

  KEY=$(keyledger keys create "Production server" --scope triggers:read --expires-in-days 90)`,
    )
    .action(
      remote(async (name: string, options: CreateKeyOptions) =>
        (await import('./keys.js')).createKey(name, options, host),
      ),
    );
}

function addKeyUpdate(keys: Command, host: CommandProcess): void {
  withTexts(
    keys
      .command('update')
      .description('change the name and the texts of a key')
      .argument('<ID>')
      .option('--name <NAME>', 'the new name'),
    [textOption, noTextOption],
  )
    .addOption(jsonOption())
    .action(
      remote(async (id: string, options: UpdateKeyOptions) => (await import('./keys.js')).updateKey(id, options, host)),
    );
}

/** From one secret to the next, and from state to state. */
function addKeyLife(keys: Command, host: CommandProcess): void {
  keys
    .command('rotate')
    .description('replace the secret of a key; the new one is shown only once')
    .argument('<ID>')
    .option('--grace <SECONDS>', 'how long the old secret still works (default: 0)', wholeNumber)
    .addOption(jsonOption())
    .action(remote(async (id: string, options) => (await import('./keys.js')).rotateKey(id, options, host)));
  keys
    .command('disable')
    .description('disable a key until it is enabled again')
    .argument('<ID>')
    .addOption(jsonOption())
    .action(remote(async (id: string, options) => (await import('./keys.js')).disableKey(id, options, host)));
  keys
    .command('enable')
    .description('enable a disabled key')
    .argument('<ID>')
    .addOption(jsonOption())
    .action(remote(async (id: string, options) => (await import('./keys.js')).enableKey(id, options, host)));
  keys
    .command('revoke')
    .description('revoke a key, which cannot be undone; asks first')
    .argument('<ID>')
    .option('--yes', 'do not ask; required without a terminal')
    .addOption(jsonOption())
    .action(remote(async (id: string, options) => (await import('./keys.js')).revokeKey(id, options, host)));
}

function withTexts(command: Command, optionsOf = [textOption]): Command {
  for (const name of keyTextNames) for (const option of optionsOf) command.addOption(option(name));
  return command;
}

function addCatalogue(program: Command, host: CommandProcess): void {
  program
    .command('scopes')
    .description('list the scopes of the server')
    .addOption(jsonOption())
    .action(remote(async (options) => (await import('./catalogue.js')).listScopes(options, host)));
  withPages(
    program.command('organizations').description('list the organizations that you may read'),
    'organizations',
  ).action(remote(async (options) => (await import('./catalogue.js')).listOrganizations(options, host)));
  withPages(
    program
      .command('projects')
      .description('list the projects that you may read')
      .addOption(organizationOption())
      .option('--search <TEXT>', 'a text in the name or the description, or the id'),
    'projects',
  ).action(remote(async (options) => (await import('./catalogue.js')).listProjects(options, host)));
}

function addAudit(program: Command, host: CommandProcess): Command {
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

function addUsage(program: Command, host: CommandProcess): void {
  withTimes(
    program
      .command('usage')
      .description('show the usage of keys: uses, denials and credits')
      .option('--key <ID>', 'only of this key')
      .addOption(organizationOption('of all keys of an organization (default: your own)').conflicts('key')),
  )
    .addOption(choice('--interval <INTERVAL>', 'count by hours, or by days of UTC (default: day)', INTERVALS))
    .addOption(choice('--group-by <WHAT>', 'count separately by', GROUPINGS))
    .addOption(
      choice(
        '--surface <WHICH>',
        "requests to your own API, or to Keyledger's own API (default: application)",
        SURFACES,
      ),
    )
    .addOption(jsonOption())
    .addHelpText('after', '\n  keyledger usage --from 30d --group-by api_key')
    .action(remote(async (options) => (await import('./usage.js')).showUsage(options, host)));
}

/** Adds a group of commands. Each command explains itself with `--help`, so the group needs no `help` command. */
export function group(program: Command, name: string, description: string): Command {
  return program.command(name).description(description).usage('COMMAND [OPTIONS]').helpCommand(false);
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

function withTimes(command: Command): Command {
  return command
    .option('--from <TIME>', 'at or after this time: 2026-01-31, 2026-01-31T09:30, or an age: 30m, 12h, 7d', moment)
    .option('--to <TIME>', 'before this time', moment);
}

function withPages(command: Command, what: string): Command {
  return command
    .option('--limit <COUNT>', `how many ${what} to show, up to 100 (default: 50)`, wholeNumber)
    .option('--cursor <CURSOR>', 'continue after an earlier response: its `next_cursor`')
    .addOption(new Option('--all', `all ${what}`).conflicts('limit'))
    .addOption(jsonOption());
}

/** Turns an error of the API into a sentence. The table of these sentences is loaded only if there is an error. */
function remote<Args extends unknown[]>(run: (...args: Args) => Promise<void>): (...args: Args) => Promise<void> {
  return async (...args) => {
    try {
      await run(...args);
    } catch (error) {
      const { failureOf } = await import('./failures.js');
      throw failureOf(error);
    }
  };
}

/** All values of a union type of the contract. `--help` does not have to load the contract for them. */
function valuesOf<Value extends string>(values: Record<Value, true>): Value[] {
  return Object.keys(values) as Value[];
}

const STATUSES = valuesOf<NonNullable<ListKeysOptions['status']>>({
  active: true,
  disabled: true,
  expired: true,
  revoked: true,
});
const ENVIRONMENTS = valuesOf<NonNullable<ListKeysOptions['environment']>>({ test: true, live: true });
const SORTS = valuesOf<NonNullable<ListKeysOptions['sort']>>({
  '-created_at': true,
  created_at: true,
  name: true,
  '-name': true,
  '-last_used_at': true,
  last_used_at: true,
  expires_at: true,
  '-expires_at': true,
  '-usage_count': true,
  usage_count: true,
});

const FORMATS = valuesOf<NonNullable<ExportOptions['format']>>({ jsonl: true, csv: true });
const INTERVALS = valuesOf<NonNullable<UsageOptions['interval']>>({ hour: true, day: true });
const SURFACES = valuesOf<NonNullable<UsageOptions['surface']>>({ application: true, management: true });
const GROUPINGS = valuesOf<NonNullable<UsageOptions['groupBy']>>({ outcome: true, endpoint: true, api_key: true });

function choice(flags: string, description: string, values: string[]): Option {
  return new Option(flags, description).choices(values);
}

export function jsonOption(description = "print the server's response, for programs"): Option {
  return new Option('--json', description);
}

function organizationOption(description = 'only of this organization'): Option {
  return new Option('--organization <ID>', description);
}

function projectOption(description = 'only of this project'): Option {
  return new Option('--project <ID>', description);
}

export function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

function collectRateLimit(text: string, before: RateLimit[] = []): RateLimit[] {
  const limit = rateLimitOf(text);
  if (limit) return [...before, limit];
  throw new InvalidArgumentError(
    'It must be a name, a number of units and a time, such as per-minute=100/60s or per-day=5000/1d.',
  );
}

/** Whether each use of the option adds to a list. */
export function mayRepeat({ parseArg }: Option): boolean {
  return parseArg === collect || parseArg === collectRateLimit;
}

export function wholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number.');
}

function moment(text: string): string {
  const iso = momentOf(text, new Date());
  if (iso) return iso;
  throw new InvalidArgumentError('It must be a time such as 2026-01-31, 2026-01-31T09:30 or 12h (ago).');
}
