import { Injectable } from '@nestjs/common';
import pg from 'pg';
import { toUuid } from '#libs/contract/ids.js';
import type { ReceivedEvent } from '#libs/outbox/batches.js';
import { EventSubscriber, type EventSink } from '#libs/outbox/ingester.js';
import { columnsOf, type AuditColumns } from './audit-columns.js';
import { hasTerms } from './audit-filter.js';
import { GrowingLog, type Growth, type Head, type Segment } from './log-growth.js';
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
  readonly organizationId: string;
  readonly leafIndex: number;
  readonly id: string;
  readonly time: string;
  readonly entry: Uint8Array;
  readonly columns: AuditColumns;
}

/**
 * The logs that grow in one transaction. Each head is locked when its first entries come, and then only this transaction
 * can change it. Two workers do not wait for each other's heads, because a log is in one shard.
 */
class Leaves implements EventSink {
  readonly #logs = new Map<string, GrowingLog>();
  readonly #managementEvents: ManagementEvent[] = [];

  async add(client: pg.PoolClient, events: readonly ReceivedEvent[]): Promise<void> {
    const arriving = Map.groupBy(events, ({ envelope }) => toUuid(envelope.data.organization_id));
    const unlocked = [...arriving.keys()].filter((organizationId) => !this.#logs.has(organizationId));
    for (const head of await lockHeads(client, unlocked)) this.#logs.set(head.organizationId, new GrowingLog(head));
    const isCompleted = ([id, log]: [string, GrowingLog]) => log.completesSegments(arriving.get(id)?.length ?? 0);
    await this.#replaceSegments(client, isCompleted);
    for (const [organizationId, own] of arriving) this.#append(organizationId, own);
  }

  #append(organizationId: string, events: readonly ReceivedEvent[]): void {
    const log = this.#logs.get(organizationId)!;
    for (const { entry, envelope, at } of events) {
      const { id, type, time } = envelope;
      const columns = columnsOf(envelope);
      const isSearchedByTerms = hasTerms(type);
      if (!isSearchedByTerms) {
        this.#managementEvents.push({ organizationId, leafIndex: log.size, id, time, entry, columns });
      }
      log.append({ entry, time: at, columns: isSearchedByTerms ? columns : null });
    }
  }

  async write(client: pg.PoolClient): Promise<void> {
    if (this.#logs.size === 0) return;
    await this.#replaceSegments(client, ([, log]) => log.hasTooManySegments());
    await append(
      client,
      [...this.#logs.values()].map((log) => log.end()),
    );
    if (this.#managementEvents.length > 0) await appendManagementEvents(client, this.#managementEvents);
  }

  async #replaceSegments(client: pg.PoolClient, which: (log: [string, GrowingLog]) => boolean): Promise<void> {
    const segments = await readSegments(
      client,
      [...this.#logs].filter(which).map(([organizationId]) => organizationId),
    );
    for (const [organizationId, own] of segments) this.#logs.get(organizationId)!.replaceSegments(own);
  }
}

async function lockHeads(client: pg.PoolClient, organizations: readonly string[]): Promise<Head[]> {
  if (organizations.length === 0) return [];
  const { rows } = await client.query<Head>({
    name: 'lock-audit-logs',
    text: `SELECT organization_id AS "organizationId", size::float8 AS size, frontier, segments,
                  ${msOf('latest')}, lateness_ms::float8 AS "latenessMs"
           FROM lock_audit_logs($1)`,
    values: [organizations],
  });
  return rows;
}

/** The segments of each of these logs. */
async function readSegments(client: pg.PoolClient, organizations: readonly string[]): Promise<Map<string, Segment[]>> {
  if (organizations.length === 0) return new Map();
  type Row = Omit<Segment, 'terms'> & { organization_id: string; terms: string; terms_of: string };
  const { rows } = await client.query<Row>({
    name: 'audit-segments',
    text: `SELECT organization_id, first::float8 AS first, count, ${msOf('oldest')},
                  ${msOf('newest')},
                  terms::text AS terms, terms_of::text AS terms_of, body
           FROM audit_segment WHERE organization_id = ANY($1) ORDER BY organization_id, first`,
    values: [organizations],
  });
  const segments = new Map<string, Segment[]>(organizations.map((organizationId) => [organizationId, []]));
  for (const { organization_id, terms, terms_of, ...segment } of rows) {
    const encoded = { terms: numbersIn(terms), counts: numbersIn(terms_of) };
    segments.get(organization_id)!.push({ ...segment, terms: encoded });
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

async function appendManagementEvents(client: pg.PoolClient, events: readonly ManagementEvent[]): Promise<void> {
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

/** The inverse of {@link arrayText}. The driver parses an array one character at a time. */
function numbersIn(text: string): number[] {
  return JSON.parse(`[${text.slice(1, -1)}]`) as number[];
}

function arrayText(numbers: readonly number[]): string {
  return `{${numbers.join(',')}}`;
}
