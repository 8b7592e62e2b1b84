import type pg from 'pg';
import { v7 } from 'uuid';
import type { Batch } from './batches.js';

/** Stores events within the transaction of the client. */
export async function putIntoOutbox(client: pg.ClientBase, shard: number, { version, body }: Batch): Promise<void> {
  await client.query('INSERT INTO outbox (shard, id, version, body) VALUES ($1, $2, $3, $4)', [
    shard,
    v7(),
    version,
    body,
  ]);
}
