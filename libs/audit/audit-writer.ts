import { Injectable } from '@nestjs/common';
import pg from 'pg';
import { toUuid } from '#libs/contract/ids.js';
import type { ReceivedEvent } from '#libs/outbox/batches.js';
import { EventSubscriber, type EventSink } from '#libs/outbox/ingester.js';
import { columnsOf, type AuditColumns } from './audit-columns.js';
import { hasTerms } from './audit-filter.js';
import { grow, replacesSegments, type Arrived, type Growth, type Head, type Segment } from './log-growth.js';
import { msOf } from './instants.js';
import { rowTermsOf } from './terms.js';

/**
 * Appends events to the audit logs of their organizations, in the transaction that ingests them from the outbox. The
 * worker has no right to write the tables. It calls functions of the database, which lock the heads of the logs and
 * check that each log grows without a gap (`libs/database/migrations/0001-initial/audit-log.ts`).
 */
@Injectable()
export class AuditWriter extends EventSubscriber {
  open(): EventSink {
    return new Leaves();
  }
}

/** An event with a row of its own, to search it. */
interface ManagementEvent {
  readonly id: string;
  readonly time: string;
  readonly entry: Uint8Array;
  readonly columns: AuditColumns;
  /** Its position among the new entries of its log. */
  readonly place: number;
}

interface Arriving {
  readonly entries: Arrived[];
  readonly managementEvents: ManagementEvent[];
}

/** The new entries of each log. Their leaf indexes are known once the heads are locked. */
class Leaves implements EventSink {
  readonly #logs = new Map<string, Arriving>();

  add({ envelope, entry }: ReceivedEvent): void {
    const { id, type, time, data } = envelope;
    const organizationId = toUuid(data.organization_id);
    const columns = columnsOf(envelope);
    let log = this.#logs.get(organizationId);
    if (!log) this.#logs.set(organizationId, (log = { entries: [], managementEvents: [] }));
    const isSearchedByTerms = hasTerms(type);
    if (!isSearchedByTerms) log.managementEvents.push({ id, time, entry, columns, place: log.entries.length });
    log.entries.push({ entry, time: Date.parse(time), columns: isSearchedByTerms ? columns : null });
  }

  async write(client: pg.PoolClient): Promise<void> {
    if (this.#logs.size === 0) return;
    const heads = await lockHeads(client, [...this.#logs.keys()]);
    const rewritten = heads.filter((head) => replacesSegments(head, this.#arriving(head).entries.length));
    const segments = await readSegments(client, rewritten);
    const growths = heads.map((head) =>
      grow(head, this.#arriving(head).entries, segments.get(head.organizationId) ?? null),
    );
    await append(client, growths);
    const managementEvents = heads.flatMap((head) =>
      this.#arriving(head).managementEvents.map((event) => ({
        ...event,
        organizationId: head.organizationId,
        leafIndex: head.size + event.place,
      })),
    );
    if (managementEvents.length > 0) await appendManagementEvents(client, managementEvents);
  }

  #arriving({ organizationId }: Head): Arriving {
    return this.#logs.get(organizationId)!;
  }
}

async function lockHeads(client: pg.PoolClient, organizations: readonly string[]): Promise<Head[]> {
  const { rows } = await client.query<Head>({
    name: 'lock-audit-logs',
    text: `SELECT organization_id AS "organizationId", size::float8 AS size, frontier, segments,
                  ${msOf('latest')}, lateness_ms::float8 AS "latenessMs"
           FROM lock_audit_logs($1)`,
    values: [organizations],
  });
  return rows;
}

async function readSegments(client: pg.PoolClient, heads: readonly Head[]): Promise<Map<string, Segment[]>> {
  if (heads.length === 0) return new Map();
  type Row = Omit<Segment, 'terms'> & { organization_id: string; terms: number[]; terms_of: number[] };
  const { rows } = await client.query<Row>({
    name: 'audit-segments',
    text: `SELECT organization_id, first::float8 AS first, count, ${msOf('oldest')},
                  ${msOf('newest')}, terms, terms_of, body
           FROM audit_segment WHERE organization_id = ANY($1) ORDER BY organization_id, first`,
    values: [heads.map(({ organizationId }) => organizationId)],
  });
  const segments = new Map<string, Segment[]>(heads.map(({ organizationId }) => [organizationId, []]));
  for (const { organization_id, terms, terms_of: counts, ...segment } of rows) {
    segments.get(organization_id)!.push({ ...segment, terms: { terms, counts } });
  }
  return segments;
}

/** The log itself could not be written. No event is the cause, so the transaction is tried again. */
class LogNotWritten extends Error {
  override readonly name = 'LogNotWritten';
}

async function append(client: pg.PoolClient, growths: readonly Growth[]): Promise<void> {
  try {
    await callAppend(client, growths);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    throw new LogNotWritten(`The audit logs could not be written: ${error.message}`, { cause: error });
  }
}

async function callAppend(client: pg.PoolClient, growths: readonly Growth[]): Promise<void> {
  const segments = growths.map(({ segment }) => segment);
  const bundles = growths.flatMap(({ head, bundles: own }) => own.map((bundle) => ({ ...bundle, head })));
  const nodes = growths.flatMap(({ head, nodes: own }) => own.map((node) => ({ ...node, head })));
  const bodies = [...segments, ...bundles].flatMap((stored) => (stored ? [stored.body] : []));
  await client.query({
    name: 'append-to-audit-logs',
    text: `SELECT append_to_audit_logs($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                                       $19, $20, $21, $22, $23, $24, $25, $26)`,
    values: [
      growths.map(({ head }) => head.organizationId),
      growths.map(({ head }) => head.size),
      growths.map(({ size }) => size),
      growths.map(({ frontier }) => frontier),
      growths.map(({ keeps }) => keeps),
      growths.map(({ latest }) => instant(latest)),
      growths.map(({ latenessMs }) => latenessMs),
      segments.map((segment) => segment?.first),
      segments.map((segment) => instant(segment?.oldest)),
      segments.map((segment) => instant(segment?.newest)),
      segments.map((segment) => segment && arrayText(segment.terms.terms)),
      segments.map((segment) => segment && arrayText(segment.terms.counts)),
      segments.map((segment) => segment?.body.length),
      bundles.map(({ head }) => head.organizationId),
      bundles.map(({ index }) => index),
      bundles.map(({ root }) => root),
      bundles.map(({ oldest }) => instant(oldest)),
      bundles.map(({ newest }) => instant(newest)),
      bundles.map(({ latest }) => instant(latest)),
      bundles.map(({ terms }) => arrayText(terms)),
      bundles.map(({ body }) => body.length),
      nodes.map(({ head }) => head.organizationId),
      nodes.map(({ level }) => level),
      nodes.map(({ index }) => index),
      nodes.map(({ hash }) => hash),
      Buffer.concat(bodies),
    ],
  });
}

type Placed = ManagementEvent & { readonly organizationId: string; readonly leafIndex: number };

async function appendManagementEvents(client: pg.PoolClient, events: readonly Placed[]): Promise<void> {
  const column = (of: (columns: AuditColumns) => unknown) => events.map(({ columns }) => of(columns));
  await client.query({
    name: 'append-management-events',
    text: 'SELECT append_management_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)',
    values: [
      events.map(({ organizationId }) => organizationId),
      events.map(({ leafIndex }) => leafIndex),
      events.map(({ id }) => id),
      column(({ type }) => type),
      events.map(({ time }) => time),
      column(({ keyId }) => keyId && toUuid(keyId)),
      column(({ projectId }) => projectId && toUuid(projectId)),
      column(({ actorId }) => actorId),
      column(({ subject }) => subject),
      column(({ ip }) => ip),
      column(({ path }) => path),
      column((columns) => arrayText(rowTermsOf(columns))),
      events.map(({ entry }) => entry.length),
      Buffer.concat(events.map(({ entry }) => entry)),
    ],
  });
}

function instant(ms: number | null | undefined): string | null {
  return ms === null || ms === undefined ? null : new Date(ms).toISOString();
}

function arrayText(numbers: readonly number[]): string {
  return `{${numbers.join(',')}}`;
}
