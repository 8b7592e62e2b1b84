import type pg from 'pg';
import { fromUuid } from '#libs/contract/ids.js';
import { batchOfEntries } from '#libs/outbox/batches.js';
import type { Events, NewEvent } from '#libs/outbox/event.js';
import { putIntoOutbox } from '#libs/outbox/outbox.js';
import { shardOf } from '#libs/outbox/shard.js';

/** Logs whose entries are in memory at once. */
const TOGETHER = 2_000;

type OwnEvent = 'audit_log.epoch_started' | 'audit_log.key_rotated';

/**
 * Records an event about the log itself in each audit log, in the transaction of the client.
 * @param dataFor the data for the log of an organization
 * @returns the number of logs
 */
export async function recordInEachLog<T extends OwnEvent>(
  client: pg.ClientBase,
  events: Events,
  type: T,
  dataFor: (organizationId: string) => NewEvent<T>['data'],
): Promise<number> {
  const { rows } = await client.query<{ shard: number; seq: number }>(
    'SELECT shard, seq::float8 AS seq FROM authz_state',
  );
  const seqs = new Map(rows.map(({ shard, seq }) => [shard, seq]));
  const encode = (organizationId: string, shard: number) =>
    events.encode({
      type,
      subject: organizationId,
      organizationId,
      actor: { type: 'system', id: null },
      seq: seqs.get(shard)!,
      origin: { ip: null, userAgent: null, requestId: null },
      data: dataFor(organizationId),
    });
  let logs = 0;
  for await (const page of pagesOfLogs(client)) {
    for (const [shard, own] of Map.groupBy(page, shardOf)) {
      await putIntoOutbox(client, shard, batchOfEntries(own.map((id) => encode(id, shard))));
    }
    logs += page.length;
  }
  return logs;
}

/** The organizations that have an audit log. */
async function* pagesOfLogs(client: pg.ClientBase): AsyncGenerator<string[]> {
  for (let after: string | undefined; ;) {
    const { rows } = await client.query<{ id: string }>(
      `SELECT organization_id AS id FROM audit_log WHERE organization_id > $1 OR $1 IS NULL ORDER BY 1 LIMIT ${TOGETHER}`,
      [after],
    );
    after = rows.at(-1)?.id;
    if (after === undefined) return;
    yield rows.map(({ id }) => fromUuid('org', id));
  }
}
