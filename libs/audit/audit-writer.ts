import { Injectable } from '@nestjs/common';
import type pg from 'pg';
import { toUuid } from '#libs/contract/ids.js';
import { EventSubscriber, type ReceivedEvent } from '#libs/platform/events/inbox.js';
import { leafHash } from '#libs/tlog/leaf.js';
import { columnsOf } from './audit-columns.js';

/**
 * Appends events to the logs of their organizations, in the transaction that takes them from the inbox. Each log is
 * numbered from 0 without gaps: the heads are locked first, then numbers are given, then rows are written, in statements
 * of their own. Numbering and inserting in one statement, or a sequence, would leave gaps.
 */
@Injectable()
export class AuditWriter extends EventSubscriber {
  async handle(client: pg.PoolClient, events: readonly ReceivedEvent[]): Promise<void> {
    if (events.length === 0) return;
    const sizes = await lockHeads(client, [
      ...new Set(events.map(({ envelope }) => toUuid(envelope.data.organization_id))),
    ]);
    const leaves = events.map((event) => {
      const organization = toUuid(event.envelope.data.organization_id);
      const index = sizes.get(organization)!;
      sizes.set(organization, index + 1);
      return { ...event, organization, index, columns: columnsOf(event.envelope) };
    });
    await client.query(
      `INSERT INTO audit_event (id, organization_id, leaf_index, leaf_hash, entry, time, type, api_key_id, project_id,
                                actor_id, subject, outcome, ip, path)
       SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bytea[], $5::bytea[], $6::timestamptz[],
                            $7::text[], $8::uuid[], $9::uuid[], $10::text[], $11::text[], $12::text[], $13::inet[],
                            $14::text[])`,
      [
        leaves.map(({ envelope }) => envelope.id),
        leaves.map(({ organization }) => organization),
        leaves.map(({ index }) => index),
        leaves.map(({ entry }) => leafHash(entry)),
        leaves.map(({ entry }) => entry),
        leaves.map(({ envelope }) => envelope.time),
        leaves.map(({ columns }) => columns.type),
        leaves.map(({ columns }) => columns.keyId && toUuid(columns.keyId)),
        leaves.map(({ columns }) => columns.projectId && toUuid(columns.projectId)),
        leaves.map(({ columns }) => columns.actorId),
        leaves.map(({ columns }) => columns.subject),
        leaves.map(({ columns }) => columns.outcome),
        leaves.map(({ columns }) => columns.ip),
        leaves.map(({ columns }) => columns.path),
      ],
    );
    await client.query(
      `UPDATE audit_log SET size = t.size FROM unnest($1::uuid[], $2::bigint[]) AS t (organization_id, size)
       WHERE audit_log.organization_id = t.organization_id`,
      [[...sizes.keys()], [...sizes.values()]],
    );
  }
}

/** Locks the heads in the order of their ids, so that two workers never wait for each other in a circle. */
async function lockHeads(client: pg.PoolClient, organizations: string[]): Promise<Map<string, number>> {
  // The first event of an organization makes its head; the foreign key refuses one that does not exist.
  await client.query(
    `INSERT INTO audit_log (organization_id, size) SELECT id, 0 FROM unnest($1::uuid[]) AS id ORDER BY id
     ON CONFLICT DO NOTHING`,
    [organizations],
  );
  const { rows } = await client.query<{ organization_id: string; size: string }>(
    'SELECT organization_id, size FROM audit_log WHERE organization_id = ANY($1) ORDER BY organization_id FOR UPDATE',
    [organizations],
  );
  return new Map(rows.map((row) => [row.organization_id, Number(row.size)]));
}
