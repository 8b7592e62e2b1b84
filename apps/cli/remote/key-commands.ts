import type { Command } from 'commander';
import { keyTextNames } from '#libs/contract/api-key-texts.js';
import type { CommandProcess } from '../command-process.js';
import { noTextOption, textOption } from './key-text-options.js';
import type { CreateKeyOptions, ListKeysOptions, UpdateKeyOptions } from './keys.js';
import {
  choice,
  collect,
  collectRateLimit,
  days,
  daysOrNever,
  durationOrNone,
  group,
  jsonOption,
  organizationOption,
  projectOption,
  remote,
  valuesOf,
  withPages,
} from './options.js';

/** `keyledger keys …` */
export function addKeyCommands(program: Command, host: CommandProcess): void {
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
    .option(
      '--grace <DURATION>',
      'how long the old secret still works, such as 30m or 7d, or none (default: 24h)',
      durationOrNone,
    )
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
});
