import { hash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type pg from 'pg';
import { toUuid } from '#libs/contract/ids.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { errorText } from '#libs/platform/error-text.js';
import { recordsOf, type Batch, type StoredRecord } from './batches.js';
import { Events } from './event.js';
import { putIntoOutbox } from './outbox.js';
import { recordOwnEvents } from './own-events.js';

/** A record that could not be ingested. */
export interface BadRecord {
  readonly shard: number;
  readonly batchId: string;
  /** The record, as a batch of its own. */
  readonly batch: Batch;
  /** The number of its events; null if it cannot be told. */
  readonly events: number | null;
  /** Null if it cannot be told. */
  readonly organizationId: string | null;
  readonly error: unknown;
}

/** A record in the quarantine. */
export interface QuarantinedRecord {
  readonly id: number;
  readonly shard: number;
  readonly batch: Batch;
  readonly events: number | null;
  readonly reason: string;
  readonly createdAt: Date;
}

/**
 * Keeps records that could not be ingested, with the reason. For each, an event says in the audit log that the log is
 * not complete. It is in the log of the organization. If that is unknown, it is in the log of the deployment.
 */
@Injectable()
export class Quarantine {
  constructor(private readonly events: Events) {}

  async keep(client: pg.PoolClient, record: BadRecord): Promise<void> {
    const { shard, batchId, batch, events, error } = record;
    const reason = errorText(error).slice(0, 1_000);
    const { rows } = await client.query<{ id: number }>(
      `INSERT INTO event_quarantine (shard, batch_id, version, body, events, reason) VALUES ($1, $2, $3, $4, $5, $6)
       RETURNING id::float8 AS id`,
      [shard, batchId, batch.version, batch.body, events, reason],
    );
    await this.#record(
      client,
      'event.quarantined',
      await logOf(client, record.organizationId),
      rows[0]!.id,
      batch,
      events,
    );
  }

  /**
   * Puts a record back into the outbox, after an event that says so.
   * @throws UnreadableRecord if this version can read none of its events
   */
  async requeue(client: pg.ClientBase, { id, shard, batch, events }: QuarantinedRecord): Promise<void> {
    const records = recordsOf(batch);
    if (!records.some(isReadable)) records[0]?.read();
    const organizations = new Set(records.map((record) => record.organizationId()));
    const [organizationId = null] = organizations.size === 1 ? organizations : [];
    await this.#record(client, 'event.requeued', await logOf(client, organizationId), id, batch, events);
    await putIntoOutbox(client, shard, batch);
    await client.query('UPDATE event_quarantine SET requeued_at = now() WHERE id = $1', [id]);
  }

  async #record(
    client: pg.ClientBase,
    type: 'event.quarantined' | 'event.requeued',
    organizationId: string,
    id: number,
    { body }: Batch,
    events: number | null,
  ): Promise<void> {
    const data = { quarantine_id: id, sha256: hash('sha256', body), count: events };
    await recordOwnEvents(client, this.events, organizationId, [{ type, subject: organizationId, data }]);
  }
}

function isReadable(record: StoredRecord): boolean {
  try {
    return Boolean(record.read());
  } catch {
    return false;
  }
}

/** The log that gets the event. An organization without a log may not exist, and could not get it. */
async function logOf(client: pg.ClientBase, organizationId: string | null): Promise<string> {
  if (organizationId === null) return DEPLOYMENT_ID;
  const { rows } = await client.query('SELECT FROM audit_log WHERE organization_id = $1', [toUuid(organizationId)]);
  return rows.length > 0 ? organizationId : DEPLOYMENT_ID;
}

/**
 * Reads and locks the records that wait in the quarantine, oldest first.
 * @param ids only these
 * @param most the maximum number
 * @param after only those with a higher number
 */
export async function quarantinedRecords(
  client: pg.ClientBase,
  ids: readonly number[] | null,
  most: number,
  after: number,
): Promise<QuarantinedRecord[]> {
  type Row = Omit<QuarantinedRecord, 'batch' | 'createdAt'> & Batch & { created_at: Date };
  const { rows } = await client.query<Row>(
    `SELECT id::float8 AS id, shard, version, body, events, reason, created_at FROM event_quarantine
     WHERE requeued_at IS NULL AND id > $3 AND ($1::bigint[] IS NULL OR id = ANY($1)) ORDER BY id LIMIT $2 FOR UPDATE`,
    [ids, most, after],
  );
  return rows.map(({ version, body, created_at: createdAt, ...row }) => ({
    ...row,
    batch: { version, body },
    createdAt,
  }));
}
