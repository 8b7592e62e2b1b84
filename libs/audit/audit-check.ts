import type pg from 'pg';
import type { EventEnvelope } from '#libs/contract/events.js';
import { fromUuid, toUuid } from '#libs/contract/ids.js';
import { BundleReader } from './bundle-reader.js';
import { headsDifference } from './heads-check.js';
import { Difference, differing, readEnvelope } from './difference.js';
import { countLeaf, LogCheck, readHead } from './log-check.js';
import { bundlesOf } from './log-growth.js';

/** The result for one log. */
export interface CheckedLog {
  /** Null for what follows from all logs together. */
  readonly organizationId: string | null;
  readonly size: number;
  /** Entries below it were pruned. Of them, what was left was checked, and no counts. */
  readonly minimum: number;
  /** The first difference between what is stored and what follows from the entries; null if there is none. */
  readonly difference: string | null;
}

/** Recomputes what another feature counts of the events. */
interface CountsCheck {
  /** Begins to read a log, for the keys from this id on. */
  open(organizationId: string, fromKey: string): LogCounts;
  /** Takes each event of all logs once. */
  add(envelope: EventEnvelope): void;
  /**
   * What differs from all logs together, in the transaction that reads their ends.
   * @returns the first difference, or null
   */
  difference(client: pg.ClientBase): Promise<string | null>;
}

/** What one reading of a log counts. */
interface LogCounts {
  /** After the reading: where the next one begins, if the counts of all keys do not fit into memory; otherwise null. */
  readonly nextKey: string | null;
  add(envelope: EventEnvelope): void;
  /** As in {@link CountsCheck}, for this log. */
  difference(client: pg.ClientBase): Promise<string | null>;
}

/**
 * Recomputes everything about the logs that follows from their entries: hashes, times, search terms, the rows to search
 * management events, and counts. Of a pruned log, it checks the rest against the hashes that are left, and no counts. Reads
 * one log after the other. Its end, and the counts that follow from it, are read as
 * of one moment.
 * @param organizationId only this log, and no counts that follow from several logs
 */
export async function* checkAuditLogs(
  client: pg.ClientBase,
  organizationId?: string,
  counts?: CountsCheck,
): AsyncGenerator<CheckedLog> {
  const { rows } = await client.query<{ id: string }>(
    `SELECT id FROM (
       SELECT organization_id AS id FROM audit_log UNION SELECT organization_id FROM audit_segment
       UNION SELECT organization_id FROM audit_bundle UNION SELECT organization_id FROM audit_body
       UNION SELECT organization_id FROM audit_tree_node UNION SELECT organization_id FROM audit_management_event
       UNION SELECT organization_id FROM audit_kept_tile UNION SELECT organization_id FROM audit_signed_bundle
       UNION SELECT organization_id FROM audit_anchored_bundle
     ) AS logs WHERE id = $1 OR $1 IS NULL ORDER BY id`,
    [organizationId ? toUuid(organizationId) : null],
  );
  const sizes = new Map<string, number>();
  let isRead = true;
  for (const { id } of rows) {
    const checked = await checkLog(client, id, counts);
    // Some entries of a log that differs, or was pruned, were not read.
    if (checked.difference !== null || checked.minimum > 0) isRead = false;
    sizes.set(id, checked.size);
    yield checked;
  }
  if (organizationId !== undefined) return;
  const ofHeads = differing(await headsDifference(client));
  if (ofHeads) yield { organizationId: null, size: 0, minimum: 0, difference: ofHeads };
  if (!counts || !isRead) return;
  const difference = await differenceFromAll(client, sizes, counts);
  if (difference) yield { organizationId: null, size: 0, minimum: 0, difference };
}

/** @param sizes the entries of each log that were counted */
async function differenceFromAll(
  client: pg.ClientBase,
  sizes: ReadonlyMap<string, number>,
  counts: CountsCheck,
): Promise<string | null> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    const { rows } = await client.query<{ id: string; size: number }>(
      'SELECT organization_id AS id, size::float8 AS size FROM audit_log ORDER BY 1',
    );
    for (const { id, size } of rows) {
      // Entries that were appended since the log was checked.
      const span = { from: sizes.get(id) ?? 0, below: size };
      for await (const { leaves } of new BundleReader(client).stretches(id, span, 'asc', { terms: [] })) {
        for (const { index, entry } of leaves) countLeaf(index, readEnvelope(index, entry), counts);
      }
    }
    return differing(await counts.difference(client));
  } catch (error) {
    if (!(error instanceof Difference)) throw error;
    return error.message;
  } finally {
    await client.query('ROLLBACK');
  }
}

/** Reads a log, and reads it again as long as there are keys whose counts did not fit into memory. */
async function checkLog(client: pg.ClientBase, id: string, counts?: CountsCheck): Promise<CheckedLog> {
  if (!counts) return readLog(client, id);
  const organizationId = fromUuid('org', id);
  let own = counts.open(organizationId, '');
  const first = await readLog(client, id, own, counts);
  let { difference } = first;
  while (difference === null && first.minimum === 0 && own.nextKey !== null) {
    own = counts.open(organizationId, own.nextKey);
    ({ difference } = await readLog(client, id, own));
  }
  return { ...first, difference };
}

async function readLog(
  client: pg.ClientBase,
  id: string,
  own?: LogCounts,
  counts?: CountsCheck,
): Promise<CheckedLog & { readonly organizationId: string }> {
  const organizationId = fromUuid('org', id);
  let size = 0;
  let minimum = 0;
  try {
    const check = new LogCheck(
      client,
      id,
      [own, counts].filter((each) => each !== undefined),
    );
    // Bundles never change, so most of them are checked without a transaction, which would keep PostgreSQL from cleaning up.
    const { size: sealed } = await readHead(client, id);
    size = sealed;
    await check.bundles(bundlesOf(sealed));
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const head = await readHead(client, id);
    ({ size, minimum } = head);
    await check.bundles(bundlesOf(head.size));
    await check.end(head);
    // The counts follow from all entries.
    const difference = minimum > 0 ? null : ((await own?.difference(client)) ?? null);
    return { organizationId, size, minimum, difference: differing(difference) };
  } catch (error) {
    if (!(error instanceof Difference)) throw error;
    return { organizationId, size, minimum, difference: error.message };
  } finally {
    await client.query('ROLLBACK');
  }
}
