import type pg from 'pg';
import type { CheckedLog } from '#libs/audit/audit-check.js';
import type { Span } from '#libs/audit/span.js';
import { asEnvelope, type DomainEvent } from '#libs/contract/events.js';
import { newEventId, toUuid } from '#libs/contract/ids.js';
import { inTransaction } from '#libs/database/database.js';
import type { ReceivedEvent } from '#libs/outbox/batches.js';
import { builtModule } from './built-module.ts';

// An `import` would load Nest again for each test file, in 0.6 s.
const { AuditWriter } = await builtModule<typeof import('#libs/audit/audit-writer.js')>('#libs/audit/audit-writer.js');
const { BundleReader } =
  await builtModule<typeof import('#libs/audit/bundle-reader.js')>('#libs/audit/bundle-reader.js');

type Database = Pick<pg.Pool, 'query'>;

/** An entry of an audit log, as it is stored. */
export interface StoredEntry {
  /** A bare UUID. */
  readonly organizationId: string;
  readonly leafIndex: number;
  readonly entry: Buffer;
}

/** Reads all entries of one audit log, or of all audit logs, in order. */
export async function storedEntries(sql: Database, organizationId?: string): Promise<StoredEntry[]> {
  const { rows: logs } = await sql.query<{ organization_id: string; size: number }>(
    `SELECT organization_id, size::float8 AS size FROM audit_log WHERE organization_id = $1 OR $1 IS NULL
     ORDER BY organization_id`,
    [organizationId ? toUuid(organizationId) : null],
  );
  const stored: StoredEntry[] = [];
  for (const { organization_id: id, size } of logs) {
    const stretches = new BundleReader(sql).stretches(id, { from: 0, below: size }, 'asc', { terms: [] });
    for await (const { leaves } of stretches) {
      for (const { index, entry } of leaves) {
        stored.push({ organizationId: id, leafIndex: index, entry: Buffer.from(entry) });
      }
    }
  }
  return stored;
}

/** Reads all events of one audit log, or of all audit logs, in order. */
export async function storedEvents(sql: Database, organizationId?: string): Promise<DomainEvent[]> {
  return (await storedEntries(sql, organizationId)).map(({ entry }) => JSON.parse(entry.toString()) as DomainEvent);
}

/** What `keyledger audit check` finds in one audit log, or in all of them and the counts that follow from them. */
export async function checkedLogs(sql: pg.Pool, organizationId?: string): Promise<CheckedLog[]> {
  // The check compares what it reads with what it makes, so both must come from the same copy of JavaScript's classes.
  const { checkAuditLogs } = await import('#libs/audit/audit-check.js');
  const { UsageCheck } = await import('#libs/usage/usage-check.js');
  const client = await sql.connect();
  try {
    const checked: CheckedLog[] = [];
    // The logs of some tests have events that nothing counted.
    const counts = organizationId ? undefined : new UsageCheck();
    for await (const log of checkAuditLogs(client, organizationId, counts)) checked.push(log);
    return checked;
  } finally {
    client.release();
  }
}

interface Uses {
  readonly organizationId: string;
  readonly apiKeyId: string;
  /** The fields of every event. */
  readonly data: Record<string, unknown>;
  /** The beginning of the path, which ends with the leaf index. */
  readonly path: string;
  /** The time of each. */
  readonly at?: Date;
}

const ENTRIES_PER_TRANSACTION = 2_560;

/** Appends events that look like uses directly to an audit log, as the worker does, until it has this size. */
export async function fillAuditLog(sql: pg.Pool, size: number, uses: Uses): Promise<void> {
  const { rows } = await sql.query<{ size: number }>(
    'SELECT coalesce((SELECT size FROM audit_log WHERE organization_id = $1), 0)::float8 AS size',
    [toUuid(uses.organizationId)],
  );
  for (let n = rows[0]!.size; n < size; n += ENTRIES_PER_TRANSACTION) {
    const below = Math.min(n + ENTRIES_PER_TRANSACTION, size);
    await inTransaction(sql, (client) => appendUses(client, { from: n, below }, uses));
  }
}

/** Appends the uses with these leaf indexes to an audit log that ends before them. */
export async function appendUses(client: pg.PoolClient, { from, below }: Span, uses: Uses): Promise<void> {
  const { organizationId, apiKeyId, path, at = new Date('2026-11-20T19:55:17.055Z') } = uses;
  const events: ReceivedEvent[] = [];
  for (let n = from; n < below; n++) {
    const envelope = asEnvelope({
      specversion: '1.0',
      id: newEventId(at),
      source: 'http://keyledger.test',
      type: 'api_key.used',
      time: at.toISOString(),
      subject: apiKeyId,
      datacontenttype: 'application/json',
      data: {
        organization_id: organizationId,
        actor: { type: 'api_key', id: apiKeyId },
        ...uses.data,
        path: `${path}${n}`,
      },
    });
    events.push({ envelope, entry: Buffer.from(JSON.stringify(envelope)), at: at.getTime() });
  }
  const sink = new AuditWriter().open();
  await sink.add(client, events);
  await sink.write(client);
}
