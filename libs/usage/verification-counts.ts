import type pg from 'pg';
import { z } from 'zod';
import type { EventEnvelope } from '#libs/contract/events.js';
import { idOf, toUuid } from '#libs/contract/ids.js';
import { groupOf, shardOf } from '#libs/outbox/shard.js';

/** Additions for a key that requested verifications, by the secret that it presented. */
interface VerificationCount {
  readonly apiKeyId: string;
  readonly secretId: string;
  readonly ingestGroup: number;
  count: number;
  lastAt: string;
}

const ByKey = z.object({ id: idOf('key'), secret_id: idOf('secret') });
const OfKey = z.looseObject({ type: z.literal('api_key') });
const Asked = z.object({
  time: z.iso.datetime(),
  data: z.object({
    organization_id: idOf('org'),
    count: z.int().min(1).default(1),
    verified_by: z.looseObject({}).optional(),
    callers: z.array(z.looseObject({ count: z.int().min(1) })).optional(),
  }),
});

/**
 * What an event adds to the counts of the keys that requested verifications.
 * @throws z.ZodError if the event names a key in an unknown shape
 */
export function verificationsIn(envelope: EventEnvelope): Omit<VerificationCount, 'ingestGroup'>[] {
  // Nearly all events come from gateways, which are not keys.
  if (!envelope.data['verified_by'] && !envelope.data['callers']) return [];
  const { time, data } = Asked.parse(envelope);
  const callers = data.callers ?? [{ ...data.verified_by, count: data.count }];
  // Users have no usage counts.
  const keys = callers.filter((caller) => OfKey.safeParse(caller).success);
  return keys.map((caller) => {
    const { id: apiKeyId, secret_id: secretId } = ByKey.parse(caller);
    return { apiKeyId, secretId, count: caller.count, lastAt: time };
  });
}

/**
 * Counts verifications for the keys that requested them. The shard of such a key may differ from the event's, so each
 * group of shards that is ingested together has its own rows.
 */
export class VerificationCounts {
  readonly #counts = new Map<string, VerificationCount>();

  /** @throws z.ZodError if the event names a key in an unknown shape */
  add(envelope: EventEnvelope): void {
    for (const own of verificationsIn(envelope)) {
      this.#add({ ...own, ingestGroup: groupOf(shardOf(envelope.data.organization_id)) });
    }
  }

  #add(more: VerificationCount): void {
    const place = `${more.apiKeyId} ${more.secretId} ${more.ingestGroup}`;
    const known = this.#counts.get(place);
    if (!known) {
      this.#counts.set(place, more);
      return;
    }
    known.count += more.count;
    if (more.lastAt > known.lastAt) known.lastAt = more.lastAt;
  }

  /**
   * In the order of the primary key, written after all other rows: two workers with shards of one group do not deadlock,
   * unless one of them writes in halves. Then PostgreSQL ends one transaction, and it is tried again.
   */
  sorted(): readonly VerificationCount[] {
    return [...this.#counts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, count]) => count);
  }

  async write(client: pg.PoolClient): Promise<void> {
    const counts = this.sorted();
    if (counts.length === 0) return;
    await client.query({
      name: 'add-to-verifications',
      text: `INSERT INTO api_key_verifications AS known (api_key_id, secret_id, ingest_group, count, last_at)
       SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::bigint[], $5::timestamptz[])
       ON CONFLICT (api_key_id, secret_id, ingest_group) DO UPDATE SET
         count = known.count + excluded.count,
         last_at = greatest(known.last_at, excluded.last_at)`,
      values: [
        counts.map(({ apiKeyId }) => toUuid(apiKeyId)),
        counts.map(({ secretId }) => toUuid(secretId)),
        counts.map(({ ingestGroup }) => ingestGroup),
        counts.map(({ count }) => count),
        counts.map(({ lastAt }) => lastAt),
      ],
    });
  }
}
