import type pg from 'pg';
import { v7 } from 'uuid';
import { newEventId } from '#libs/contract/ids.js';
import { shardOf } from '#libs/outbox/shard.js';
import { encodeEntries } from '#libs/tlog/entries.js';
import { builtModule } from './built-module.js';
import type { Deployment } from './deployment.js';
import { eventually } from './eventually.js';

const { OutboxNotifier } = await builtModule<typeof import('#libs/outbox/outbox-notifier.js')>(
  '#libs/outbox/outbox-notifier.js',
);

/** The fields of an event that differ from the defaults. */
export interface Said {
  readonly type: string;
  readonly subject: string;
  readonly time?: string;
  readonly data?: Record<string, unknown>;
}

/** Creates an event as any version of the API might. */
export function event(organizationId: string, { type, subject, time, data }: Said): Uint8Array {
  const now = new Date();
  return Buffer.from(
    JSON.stringify({
      specversion: '1.0',
      id: newEventId(now),
      source: 'http://keyledger.test',
      type,
      time: time ?? now.toISOString(),
      subject,
      datacontenttype: 'application/json',
      data: { organization_id: organizationId, actor: { type: 'anonymous', id: null }, ...data },
    }),
  );
}

/** Puts entries into the outbox, as one batch, and tells no worker. */
export async function store(sql: pg.Pool, organizationId: string, entries: readonly Uint8Array[]): Promise<void> {
  await sql.query('INSERT INTO outbox (shard, id, version, body) VALUES ($1, $2, 1, $3)', [
    shardOf(organizationId),
    v7(),
    encodeEntries([...entries]),
  ]);
}

/** Puts entries into the outbox, as one batch, and notifies the worker. */
export async function put(
  { api, sql }: Deployment,
  organizationId: string,
  entries: readonly Uint8Array[],
): Promise<void> {
  await store(sql, organizationId, entries);
  api.get(OutboxNotifier).notify(shardOf(organizationId));
}

/**
 * Waits until the worker has ingested all events. Without a notification, those that a test has put into the outbox would
 * wait for the worker's sweep.
 */
export async function allIngested({
  api,
  sql,
}: Pick<Deployment, 'sql'> & Partial<Pick<Deployment, 'api'>>): Promise<void> {
  const { rows } = await sql.query<{ shard: number }>('SELECT DISTINCT shard FROM outbox');
  for (const { shard } of rows) api?.get(OutboxNotifier).notify(shard);
  const waiting = await eventually(
    async () => (await sql.query<{ n: number }>('SELECT count(*)::int AS n FROM outbox')).rows[0]!.n,
    (n) => n === 0,
  );
  if (waiting > 0) throw new Error(`${waiting} batches still wait in the outbox`);
}
