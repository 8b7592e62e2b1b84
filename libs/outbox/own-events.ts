import type pg from 'pg';
import { batchOfEntries } from './batches.js';
import type { EncodedType, Events, NewEvent } from './event.js';
import { putIntoOutbox } from './outbox.js';
import { shardOf } from './shard.js';

export type OwnEvent<T extends EncodedType> = Pick<NewEvent<T>, 'type' | 'subject' | 'data' | 'at'>;

/**
 * Stores events that the service itself causes, without a request, as one batch in the transaction of the client. The
 * worker ingests them in this order.
 */
export async function recordOwnEvents<T extends EncodedType>(
  client: pg.ClientBase,
  events: Events,
  organizationId: string,
  own: readonly OwnEvent<T>[],
): Promise<void> {
  const shard = shardOf(organizationId);
  const { rows } = await client.query<{ seq: number }>('SELECT seq::float8 AS seq FROM authz_state WHERE shard = $1', [
    shard,
  ]);
  const entries = own.map((event) =>
    events.encode({
      ...event,
      organizationId,
      actor: { type: 'system', id: null },
      seq: rows[0]!.seq,
      origin: { ip: null, userAgent: null, requestId: null },
    }),
  );
  await putIntoOutbox(client, shard, batchOfEntries(entries));
}
