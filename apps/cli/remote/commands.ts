import { Option, type Command } from 'commander';
import type { CommandProcess } from '../command-process.js';
import { addAuditCommands } from './audit-commands.js';
import { addKeyCommands } from './key-commands.js';
import { choice, group, jsonOption, organizationOption, remote, valuesOf, withTimes } from './options.js';
import { addOrganizationCommands } from './organization-commands.js';
import type { UsageOptions } from './usage.js';

/** Adds the commands that call a server anywhere, over the same HTTP API that every client uses. */
export function addRemoteCommands(program: Command, host: CommandProcess): { readonly audit: Command } {
  program.commandsGroup('Commands for any server:');
  addAccount(program, host);
  addKeyCommands(program, host);
  addScopes(program, host);
  addOrganizationCommands(program, host);
  const audit = addAuditCommands(program, host);
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
    .addOption(jsonOption())
    .action(
      remote(async (options, command: Command) => (await import('./account.js')).login(options, command.args, host)),
    );
  program
    .command('logout')
    .description('end the session and remove the stored credential')
    .addOption(jsonOption('print what was ended, for programs'))
    .action(remote(async (options) => (await import('./account.js')).logout(options, host)));
  program
    .command('whoami')
    .description('show the account or the key that you use')
    .addOption(jsonOption())
    .action(remote(async (options) => (await import('./account.js')).whoami(options, host)));
  group(program, 'account', 'change your account')
    .command('rename')
    .description('change your name, as other members see it')
    .argument('<NAME>', 'the new name')
    .addOption(jsonOption())
    .action(remote(async (name: string, options) => (await import('./account.js')).renameAccount(name, options, host)));
  program
    .command('use')
    .description('choose the organization of all commands that name none')
    .argument('[ORGANIZATION]', 'the name or the id of the organization')
    .option('--personal', 'your personal organization again')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nIt is kept with the sign-in, and `keyledger whoami` shows it. An API key always uses its own organization.',
    )
    .action(
      remote(async (organization: string | undefined, options) =>
        (await import('./account.js')).useOrganization(organization, options, host),
      ),
    );
}

function addScopes(program: Command, host: CommandProcess): void {
  program
    .command('scopes')
    .description('list the scopes of the server')
    .addOption(jsonOption())
    .action(remote(async (options) => (await import('./catalogue.js')).listScopes(options, host)));
}

function addUsage(program: Command, host: CommandProcess): void {
  withTimes(
    program
      .command('usage')
      .description('show the usage of keys: uses, denials and credits')
      .option('--key <NAME>', 'only of this key, by its name or id')
      .addOption(organizationOption('of all keys of an organization (default: your own)').conflicts('key')),
  )
    .addOption(choice('--interval <INTERVAL>', 'count by hours or by days (default: day)', INTERVALS))
    .option('--time-zone <ZONE>', 'whose days to count, such as Europe/Berlin (default: UTC)')
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

const INTERVALS = valuesOf<NonNullable<UsageOptions['interval']>>({ hour: true, day: true });
const SURFACES = valuesOf<NonNullable<UsageOptions['surface']>>({ application: true, management: true });
const GROUPINGS = valuesOf<NonNullable<UsageOptions['groupBy']>>({ outcome: true, endpoint: true, api_key: true });
