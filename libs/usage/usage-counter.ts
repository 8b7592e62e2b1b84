import { Injectable } from '@nestjs/common';
import type pg from 'pg';
import { DomainEvent } from '#libs/contract/events.js';
import { toUuid } from '#libs/contract/ids.js';
import { EventSubscriber, type ReceivedEvent } from '#libs/platform/events/inbox.js';

interface Counts {
  uses: number;
  denials: number;
  lastUsedAt: string | null;
  lastDeniedAt: string | null;
}

/** The worker's side: counts uses and refusals of each key, in the transaction that takes them from the inbox. */
@Injectable()
export class UsageCounter extends EventSubscriber {
  async handle(client: pg.PoolClient, events: readonly ReceivedEvent[]): Promise<void> {
    // In the order of their ids: two workers that count the same keys never wait for each other in a circle.
    const counted = [...countByKey(events)].toSorted(([a], [b]) => (a < b ? -1 : 1));
    if (counted.length === 0) return;
    const column = (of: (counts: Counts) => unknown) => counted.map(([, counts]) => of(counts));
    await client.query(
      `INSERT INTO api_key_usage AS known (api_key_id, uses, denials, last_used_at, last_denied_at)
       SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::timestamptz[])
       ON CONFLICT (api_key_id) DO UPDATE SET
         uses = known.uses + excluded.uses,
         denials = known.denials + excluded.denials,
         last_used_at = greatest(known.last_used_at, excluded.last_used_at),
         last_denied_at = greatest(known.last_denied_at, excluded.last_denied_at)`,
      [
        counted.map(([id]) => toUuid(id)),
        column((counts) => counts.uses),
        column((counts) => counts.denials),
        column((counts) => counts.lastUsedAt),
        column((counts) => counts.lastDeniedAt),
      ],
    );
  }
}

/** Pure: what a run of events adds to each key. */
export function countByKey(events: readonly ReceivedEvent[]): Map<string, Counts> {
  const counts = new Map<string, Counts>();
  for (const { envelope } of events) {
    if (envelope.type !== 'api_key.used' && envelope.type !== 'api_key.denied') continue;
    const event = DomainEvent.parse(envelope);
    const own = counts.get(event.subject) ?? { uses: 0, denials: 0, lastUsedAt: null, lastDeniedAt: null };
    if (event.type === 'api_key.used') {
      own.uses += 1;
      own.lastUsedAt = later(own.lastUsedAt, event.time);
    } else if (event.type === 'api_key.denied') {
      own.denials += event.data.count;
      own.lastDeniedAt = later(own.lastDeniedAt, event.time);
    }
    counts.set(event.subject, own);
  }
  return counts;
}

/** Both as we write them, in UTC with milliseconds: they sort as text. */
function later(a: string | null, b: string): string {
  return a && a > b ? a : b;
}
