import type pg from 'pg';
import { z } from 'zod';
import { BundleReader } from '#libs/audit/bundle-reader.js';
import type { Span } from '#libs/audit/span.js';
import { asEnvelope, RecordedState, type EventEnvelope } from '#libs/contract/events.js';
import { recordsOf, NEWEST_FORMAT } from '#libs/outbox/batches.js';
import { cursor } from '#libs/database/cursor.js';
import { toUuid } from '#libs/contract/ids.js';
import { shardOf } from '#libs/outbox/shard.js';
import { errorText } from '#libs/platform/error-text.js';
import { DomainError } from '#libs/platform/errors.js';

export type Client = Pick<pg.ClientBase, 'query'>;

/** Why a log could not be replayed in full. */
export class NotReplayable extends Error {
  override readonly name = 'NotReplayable';
}

interface Head {
  readonly size: number;
  /** The first leaf that was not pruned. */
  readonly minimumIndex: number;
}

/** An organization whose first events still wait in the outbox has no head yet. */
export async function readHead(client: Client, organizationId: string): Promise<Head> {
  const { rows } = await client.query<Head>(
    `SELECT size::float8 AS size, minimum_index::float8 AS "minimumIndex"
     FROM audit_log WHERE organization_id = $1`,
    [toUuid(organizationId)],
  );
  return rows[0] ?? { size: 0, minimumIndex: 0 };
}

/** The events of a range of the log, in order. @throws NotReplayable if an entry cannot be read */
export async function* entriesOf(client: Client, organizationId: string, span: Span): AsyncGenerator<EventEnvelope> {
  const reader = new BundleReader(client);
  try {
    for await (const { leaves } of reader.stretches(toUuid(organizationId), span, 'asc', { terms: [] })) {
      for (const { index, entry } of leaves) yield envelopeOf(index, entry);
    }
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    throw new NotReplayable(lowerFirst(error.message), { cause: error });
  }
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function envelopeOf(index: number, entry: Uint8Array): EventEnvelope {
  try {
    return asEnvelope(JSON.parse(Buffer.from(entry).toString()));
  } catch {
    throw new NotReplayable(`leaf ${index} is not an event`);
  }
}

/**
 * The events of an organization that still wait in the outbox, in the order in which the worker ingests them. Needs a
 * transaction.
 * @throws NotReplayable if one of them cannot be read
 */
export async function* waitingOf(client: Client, organizationId: string): AsyncGenerator<EventEnvelope> {
  const rows = cursor<{ id: string; version: number; body: Buffer }>(
    client,
    'SELECT id, version, body FROM outbox WHERE shard = $1 ORDER BY id',
    [shardOf(organizationId)],
    WAITING_ROWS,
  );
  for await (const { id, version, body } of rows) {
    if (version > NEWEST_FORMAT) throw new NotReplayable(`batch ${id} of the outbox is from a newer version`);
    for (const record of recordsOf({ version, body })) {
      const owner = record.organizationId();
      if (owner !== null && owner !== organizationId) continue;
      try {
        yield record.read().envelope;
      } catch (error) {
        throw new NotReplayable(`a record of batch ${id} of the outbox cannot be read: ${errorText(error)}`);
      }
    }
  }
}

/** A row of the outbox may have megabytes. */
const WAITING_ROWS = 20;

interface Place {
  readonly leaf: number;
  readonly below: number;
  readonly part: number;
  readonly parts: number;
}

/** Where the log has a complete state: the first leaf of its parts, and the leaf after the last. */
interface RecordedPlace extends Span {
  readonly stateBelow: number;
}

/** The complete states that the log has, in order. The search rows find them. They are read from the log itself. */
export async function recordedStates(client: Client, organizationId: string): Promise<RecordedPlace[]> {
  const { rows } = await client.query<Place>(
    `SELECT leaf_index::float8 AS leaf, (data ->> 'below')::float8 AS below, (data ->> 'part')::float8 AS part,
            (data ->> 'parts')::float8 AS parts
     FROM audit_management_event, LATERAL (SELECT convert_from(entry, 'UTF8')::jsonb -> 'data' AS data) AS event
     WHERE organization_id = $1 AND type = 'audit_log.state_recorded' ORDER BY leaf_index`,
    [toUuid(organizationId)],
  );
  const found: RecordedPlace[] = [];
  let begun: { readonly from: number; last: Place } | undefined;
  for (const place of rows) {
    const { last } = begun ?? {};
    const follows = last?.below === place.below && last.parts === place.parts && last.part + 1 === place.part;
    if (place.part === 1) begun = { from: place.leaf, last: place };
    else if (begun && follows) begun.last = place;
    else begun = undefined;
    if (begun && place.part === place.parts) {
      found.push({ from: begun.from, below: place.leaf + 1, stateBelow: place.below });
    }
  }
  return found;
}

/** @throws NotReplayable if the log does not have the parts there */
export async function readRecorded(client: Client, organizationId: string, span: Span): Promise<RecordedState[]> {
  const parts: RecordedState[] = [];
  for await (const { type, data } of entriesOf(client, organizationId, span)) {
    if (type !== 'audit_log.state_recorded') continue;
    const { data: part } = z.object(RecordedState.shape).safeParse(data);
    if (!part) throw new NotReplayable(`a recorded state from leaf ${span.from} on cannot be read`);
    parts.push(part);
  }
  return parts;
}
