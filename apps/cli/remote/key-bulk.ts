import { randomUUID } from 'node:crypto';
import type { Client } from '#libs/client/client.js';
import type { BulkAction } from '#libs/contract/bulk-changes.js';
import type { CommandProcess } from '../command-process.js';
import { EXIT_USAGE } from '../exit-codes.js';
import { confirm } from './confirm.js';
import { connect } from './connection.js';
import { Failure } from './failure.js';
import { findId, findOptionalId } from './find-id.js';
import type { KeyOptions } from './keys.js';
import { organizationOf } from './organizations.js';
import { json, layoutOf, note, write } from './output.js';
import { table, type Column } from './table.js';
import { localTime } from './text.js';
import type { Where } from './where.js';

type Preview = Awaited<ReturnType<Client['apiKeys']['previewBulkChange']>>;

export interface ManyKeysOptions extends KeyOptions {
  readonly where?: Where;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

const WORDS = {
  revoke: { verb: 'Revoke', doing: 'Revoking', done: 'revoked' },
  disable: { verb: 'Disable', doing: 'Disabling', done: 'disabled' },
  enable: { verb: 'Enable', doing: 'Enabling', done: 'enabled' },
} as const satisfies Record<BulkAction, object>;

const COLUMNS: readonly Column<Preview['data'][number]>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'NAME', value: ({ name }) => name, shrinksTo: 12 },
  { title: 'STATUS', value: ({ status }) => status, expendable: 1 },
  { title: 'USES IN 24H', value: ({ uses_in_last_day: uses }) => String(uses ?? 'verified keys'), align: 'right' },
  { title: 'LAST USED', value: ({ last_used_at: at }) => localTime(at), expendable: 2 },
];

/**
 * Changes several keys, by their names or by conditions, after a preview of how often they were used.
 * @throws Failure
 */
export async function changeKeys(
  action: BulkAction,
  keys: readonly string[],
  options: ManyKeysOptions,
  host: CommandProcess,
): Promise<void> {
  if (options.where && keys.length > 0) throw new Failure('Name keys or give --where, not both.', EXIT_USAGE);
  const api = connect(host.env);
  const organization = await organizationOf(api, host.env, options.organization);
  const selection = { organization_id: organization, action, ...(await selectionOf(api, keys, options, organization)) };
  const preview = await api.apiKeys.previewBulkChange({ body: selection });
  if (options.dryRun) return write(host, options.json ? json(host, preview) : textOf(preview, host.stdout));
  const { confirmation, count, remaining } = preview;
  if (confirmation === null) {
    if (options.json) return write(host, json(host, { organization_id: organization, action, count: 0, ids: [] }));
    return note(host, `No key would be ${WORDS[action].done}.`);
  }
  if (!options.yes) host.stderr.write(textOf(preview, host.stderr));
  const question = async () => `${WORDS[action].verb} ${countOf(count)}`;
  await confirm(host, options.yes, { ...WORDS[action], question, canBeUndone: action !== 'revoke' });
  const headers = { 'idempotency-key': randomUUID() };
  const changed = await api.apiKeys.changeInBulk({ headers, body: { ...selection, confirmation } });
  const are = changed.count === 1 ? 'is' : 'are';
  await write(host, options.json ? json(host, changed) : `${countOf(changed.count)} ${are} ${WORDS[action].done}.\n`);
  if (remaining > 0) note(host, `${countOf(remaining)} more can be ${WORDS[action].done}: run the command again.`);
}

async function selectionOf(api: Client, keys: readonly string[], { where }: ManyKeysOptions, organization: string) {
  if (!where) return { ids: await Promise.all(keys.map((key) => findId(api, ['key'], key, organization))) };
  const project = await findOptionalId(api, 'project', where.project_id, organization);
  return { filter: { ...where, project_id: project } };
}

function textOf(preview: Preview, stream: NodeJS.WriteStream): string {
  const { action, count, remaining, unchanged, used_in_last_day: used, data } = preview;
  const others = count - data.length;
  return [
    ...(data.length > 0 ? [table(COLUMNS, data, layoutOf(stream))] : []),
    ...(others > 0 ? [`and ${countOf(others)} that were used less\n`] : []),
    `${countOf(count)} would be ${WORDS[action].done}, ${used} of them used in the last day.`,
    ...(unchanged > 0 ? [` ${countOf(unchanged)} would stay unchanged.`] : []),
    ...(remaining > 0 ? [` ${countOf(remaining)} more would be left for another call.`] : []),
    '\n',
  ].join('');
}

function countOf(keys: number): string {
  return `${keys} ${keys === 1 ? 'key' : 'keys'}`;
}
