import { Option, type Command } from 'commander';
import { keyTextNames } from '#libs/contract/api-key-texts.js';
import type { BulkAction } from '#libs/contract/bulk-changes.js';
import type { CommandProcess } from '../command-process.js';
import type { ImportKeysOptions } from './key-import.js';
import { noTextOption, textOption } from './key-text-options.js';
import type { CreateKeyOptions, ListKeysOptions, UpdateKeyOptions } from './keys.js';
import {
  allOrganizationsOption,
  choice,
  collect,
  collectRateLimit,
  days,
  daysOrNever,
  duration,
  durationOrNone,
  expiry,
  group,
  jsonOption,
  ofKeys,
  ofOne,
  organizationOption,
  projectOption,
  remote,
  valuesOf,
  wholeNumber,
  withPages,
  yesOption,
} from './options.js';
import { collectWhere } from './where.js';

/** `keyledger keys …` */
export function addKeyCommands(program: Command, host: CommandProcess): void {
  const keys = group(program, 'keys', 'list, create, change, rotate, verify and revoke API keys');
  addKeyList(keys, host);
  addKeyCreation(keys, host);
  addKeyImport(keys, host);
  addKeyChanges(keys, host);
  addKeyVerification(keys, host);
  addKeyExchange(keys, host);
  addKeyLife(keys, host);
}

function addKeyList(keys: Command, host: CommandProcess): void {
  withPages(
    keys
      .command('list')
      .description('list API keys, the newest first')
      .addOption(organizationOption('only of this organization (default: your own)'))
      .addOption(allOrganizationsOption())
      .addOption(projectOption())
      .addOption(choice('--status <STATUS>', 'only keys with this status', STATUSES))
      .addOption(choice('--environment <ENVIRONMENT>', 'only keys of this environment', ENVIRONMENTS))
      .option(
        '--search <TEXT>',
        'a text in the name, the description or the external id; or an id or a key, of which only the beginning is sent',
      )
      .option('--unused-for <DAYS>', 'only keys that were not used for so long, such as 90d', days)
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
    .option('--scope <SCOPE>', 'a scope of the key, such as triggers:read; repeat it for more', collect)
    .addOption(organizationOption('the organization of the key (default: your own)'))
    .addOption(projectOption('the project to which the key is limited'))
    .addOption(
      choice(
        '--environment <ENVIRONMENT>',
        'the environment of the key (default: a setting of the server)',
        ENVIRONMENTS,
      ),
    )
    .option('--expires <DAYS>', 'days until the key expires, such as 30d, or never (default: 90d)', daysOrNever)
    .option('--allowed-ip <ADDRESS>', 'an address or network that may use the key; repeat it for more', collect)
    .option('--rate-limit <LIMIT>', 'a rate limit, such as per-minute=100/60s; repeat it for more', collectRateLimit)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
In a pipe, standard output has only the key:

  KEY=$(keyledger keys create "Production server" --scope triggers:read --expires 30d)`,
    )
    .action(
      remote(async (name: string, options: CreateKeyOptions) =>
        (await import('./keys.js')).createKey(name, options, host),
      ),
    );
}

function addKeyImport(keys: Command, host: CommandProcess): void {
  keys
    .command('import')
    .description('import keys of another system by the SHA-256 of their tokens, which go on working')
    .argument('[FILE]', 'a row for each key, as CSV or as JSON Lines')
    .addOption(choice('--format <FORMAT>', 'what the file is (default: as its name says)', ['csv', 'jsonl']))
    .addOption(choice('--from <SYSTEM>', 'instead of a file: read the keys of this system', ['better-auth']))
    .option('--database <URL>', 'the PostgreSQL database of that system, which is only read')
    .option('--table <TABLE>', 'its table of keys', 'apikey')
    .option('--reference <ID>', 'only keys of this user or organization of that system; repeat it for more', collect)
    .addOption(organizationOption('the organization of the keys (default: your own)'))
    .option('--scope <SCOPE>', 'a scope of the keys whose rows have none; repeat it for more', collect)
    .addOption(choice('--environment <ENVIRONMENT>', 'the environment of the keys whose rows have none', ENVIRONMENTS))
    .addOption(new Option('--dry-run', 'check everything, and import nothing'))
    .addOption(jsonOption('print what became of each key, for programs'))
    .addHelpText(
      'after',
      `
Fields: hash (hexadecimal digits, base64 or base64url) or token, which is hashed here and not sent; name; and those of the
API: scopes, prefix, external_id, expires_at and so on. In CSV, lists have spaces between their entries, and metadata and
rate_limits are JSON. A key that is there already stays as it is, so the command can be repeated.

  keyledger keys import keys.csv --scope triggers:read --dry-run
  keyledger keys import --from better-auth --database postgres://reader@db.example.com/app --dry-run`,
    )
    .action(
      remote(async (file: string | undefined, options: ImportKeysOptions) =>
        (await import('./key-import.js')).importKeys(file, options, host),
      ),
    );
}

function addKeyChanges(keys: Command, host: CommandProcess): void {
  ofOne(keys, 'key', 'show', 'show a key with its secrets, by their ids').action(
    remote(async (key: string, options) => (await import('./keys.js')).showKey(key, options, host)),
  );
  withTexts(
    ofOne(keys, 'key', 'update', 'change a key; what is not given stays as it is').option(
      '--name <NAME>',
      'the new name',
    ),
    [textOption, noTextOption],
  )
    .option('--scope <SCOPE>', 'a scope of the key instead of all that it has; repeat it for more', collect)
    .option('--expires <TIME>', 'when the key expires: 2026-01-31, 30d (from now), or never', expiry)
    .option('--allowed-ip <ADDRESS>', 'an address or network instead of all that it has; repeat it', collect)
    .option('--no-allowed-ip', 'allow every address')
    .option('--rate-limit <LIMIT>', 'a rate limit instead of all that it has; repeat it for more', collectRateLimit)
    .option('--no-rate-limit', 'remove all rate limits')
    .addHelpText('after', '\n  keyledger keys update "Production server" --expires 30d --no-owner-note')
    .action(
      remote(async (key: string, options: UpdateKeyOptions) =>
        (await import('./keys.js')).updateKey(key, options, host),
      ),
    );
}

function addKeyVerification(keys: Command, host: CommandProcess): void {
  keys
    .command('verify')
    .description('verify a key as a service does, which counts as a use')
    .option('--scope <SCOPE>', 'a scope that the key needs; repeat it for more', collect)
    .addOption(organizationOption('the organization of the project (default: any)'))
    .addOption(projectOption('the project of the request'))
    .option('--cost <UNITS>', 'what the request takes from rate limits and credits (default: 1)', wholeNumber)
    .option('--method <METHOD>', 'the method of the request')
    .option('--path <PATH>', 'the path of the request')
    .option('--ip <ADDRESS>', 'the address of the client')
    .option('--origin <ORIGIN>', 'the page of a request with a public key alone')
    .addOption(jsonOption())
    // The command rejects excess arguments itself: the library would print them, and one may be a key.
    .allowExcessArguments()
    .addHelpText(
      'after',
      `
The command asks for the key and does not show it. In a pipe it reads one line from standard input. The exit code is 0 if
the key is good for the request, and 1 if it is not. It needs the scope api-keys:verify.

  pass show production-key | keyledger keys verify --scope triggers:read --cost 0`,
    )
    .action(
      remote(async (options, command: Command) =>
        (await import('./key-verify.js')).verifyKey(options, command.args, host),
      ),
    );
}

function addKeyExchange(keys: Command, host: CommandProcess): void {
  keys
    .command('token')
    .description('exchange a key for a token that services verify offline, which counts as a use')
    .option('--audience <SERVICE>', 'the service that is to accept the token (required)')
    .option('--scope <SCOPE>', 'a scope of the token; repeat it for more (default: none)', collect)
    .option('--lifetime <DURATION>', 'how long the token is valid, such as 60s or 5m (default: 5m)', duration)
    .addOption(jsonOption())
    .allowExcessArguments()
    .addHelpText(
      'after',
      `
The command asks for the key and does not show it. In a pipe it reads one line from standard input. It needs no sign-in.

  pass show production-key | keyledger keys token --audience orders --scope triggers:read`,
    )
    .action(
      remote(async (options, command: Command) =>
        (await import('./key-token.js')).exchangeKey(options, command.args, host),
      ),
    );
}

/** From one secret to the next, and from state to state. */
function addKeyLife(keys: Command, host: CommandProcess): void {
  ofOne(keys, 'key', 'rotate', 'replace the secret of a key; the new one is shown only once')
    .option(
      '--grace <DURATION>',
      'how long the old secret still works, such as 30m or 7d, or none (default: 24h)',
      durationOrNone,
    )
    .action(remote(async (key: string, options) => (await import('./key-life.js')).rotateKey(key, options, host)));
  for (const [action, description] of Object.entries({
    disable: 'disable keys until they are enabled again',
    enable: 'enable disabled keys',
    revoke: 'revoke keys, which cannot be undone; asks first',
  })) {
    ofKeys(keys, action, description)
      .option(
        '--where <CONDITION>',
        'all keys of the organization with this: status=, environment=, project=, external-id=, search=, unused-for=90d, ' +
          'expires-within=30d, disabled-within=7d, never-expires, breaks-policy, no-rate-limit; repeat it for more',
        collectWhere,
      )
      .addHelpText(
        'after',
        `
Without a terminal, several keys change only with --yes. A call changes 1,000 keys at most, all or none.

  keyledger keys ${action} --where status=active --where unused-for=90d --dry-run`,
      )
      .action(
        remote(async (named: string[], options) =>
          (await import('./key-life.js')).changeNamedKeys(action as BulkAction, named, options, host),
        ),
      );
  }
  ofOne(keys, 'key', 'delete', 'revoke a key and remove it from all lists, which cannot be undone; asks first')
    .addOption(yesOption())
    .action(remote(async (key: string, options) => (await import('./key-life.js')).deleteKey(key, options, host)));
}

function withTexts(command: Command, optionsOf = [textOption]): Command {
  for (const name of keyTextNames) for (const option of optionsOf) command.addOption(option(name));
  return command;
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
