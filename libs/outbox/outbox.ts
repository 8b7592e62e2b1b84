import type pg from 'pg';
import type { Batch } from './batches.js';

/**
 * SQL: the id of a batch with events of a change, a UUIDv7 of the database's clock in microseconds. The worker ingests
 * batches in the order of their ids, and changes of one object must keep their order in the audit log. Each waits for the
 * one before it, so its statement comes later by this clock. The clocks of two processes could say otherwise.
 */
export const NEXT_BATCH_ID = `(
  SELECT encode(substring(int8send(us / 1000) FROM 3) || int2send((28672 + us % 1000 * 4)::smallint)
                || substring(uuid_send(gen_random_uuid()) FROM 9), 'hex')::uuid
  FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us) AS instant)`;

/** Stores events within the transaction of the client. */
export async function putIntoOutbox(client: pg.ClientBase, shard: number, { version, body }: Batch): Promise<void> {
  await client.query(`INSERT INTO outbox (shard, id, version, body) VALUES ($1, ${NEXT_BATCH_ID}, $2, $3)`, [
    shard,
    version,
    body,
  ]);
}
