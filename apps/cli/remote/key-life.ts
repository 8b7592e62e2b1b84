import type { CommandProcess } from '../command-process.js';
import type { BulkAction } from '#libs/contract/bulk-changes.js';
import { EXIT_USAGE } from '../exit-codes.js';
import { Failure } from './failure.js';
import type { ManyKeysOptions } from './key-bulk.js';
import { confirm } from './confirm.js';
import { connect } from './connection.js';
import { formatDuration } from './durations.js';
import type { ApiKey } from './key-card.js';
import { findKey, showSecret, type KeyOptions } from './keys.js';
import { json, note, write } from './output.js';
import { named } from './text.js';

/** As in the dashboard: long enough for a release of the programs that have the old secret. */
const GRACE_SECONDS = 86_400;

interface RotateOptions extends KeyOptions {
  /** In seconds. */
  readonly grace?: number;
}

export async function rotateKey(text: string, options: RotateOptions, host: CommandProcess): Promise<void> {
  const { grace = GRACE_SECONDS } = options;
  const api = connect(host.env);
  const params = await findKey(api, text, options, host);
  await showSecret(host, await api.apiKeys.rotate({ params, body: { grace_period_seconds: grace } }), options);
  note(
    host,
    grace === 0 ? 'The old secret no longer works.' : `The old secret works for another ${formatDuration(grace)}.`,
  );
}

/** One key that is named is changed at once. Several keys, or those that meet conditions, are previewed first. */
export async function changeNamedKeys(
  action: BulkAction,
  named: readonly string[],
  options: ManyKeysOptions,
  host: CommandProcess,
): Promise<void> {
  const [only, ...others] = named;
  if (only === undefined && options.where === undefined) {
    throw new Failure('Name a key, or select keys with --where.', EXIT_USAGE);
  }
  if (only === undefined || options.where !== undefined || options.dryRun || others.length > 0) {
    return (await import('./key-bulk.js')).changeKeys(action, named, options, host);
  }
  if (action === 'revoke') return revokeKey(only, options, host);
  const api = connect(host.env);
  const params = await findKey(api, only, options, host);
  await showChanged(host, await api.apiKeys[action]({ params }), options);
}

interface FinalOptions extends KeyOptions {
  readonly yes?: boolean;
}

/** A revocation is final, so the user has to confirm it, at the prompt or with `--yes`. */
async function revokeKey(text: string, options: FinalOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const params = await findKey(api, text, options, host);
  const question = async () => `Revoke ${named(await api.apiKeys.get({ params }))}`;
  await confirm(host, options.yes, { doing: 'Revoking', done: 'revoked', question });
  await showChanged(host, await api.apiKeys.revoke({ params }), options);
}

export async function deleteKey(text: string, options: FinalOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const params = await findKey(api, text, options, host);
  const apiKey = named(await api.apiKeys.get({ params }));
  await confirm(host, options.yes, { doing: 'Deleting', done: 'deleted', question: async () => `Delete ${apiKey}` });
  await api.apiKeys.delete({ params });
  await write(host, options.json ? json(host, { ...params, deleted: true }) : `${apiKey} is deleted.\n`);
}

async function showChanged(host: CommandProcess, apiKey: ApiKey, options: KeyOptions): Promise<void> {
  await write(host, options.json ? json(host, apiKey) : `${named(apiKey)} is ${apiKey.status}.\n`);
}
