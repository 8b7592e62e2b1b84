import { hash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type pg from 'pg';
import { toUuid } from '#libs/contract/ids.js';
import { BinaryRows } from '#libs/database/binary-rows.js';
import { EventSubscriber, type EventSink, type ReceivedEvent } from '#libs/outbox/ingester.js';
import { MAX_ENTRY_BYTES } from '#libs/tlog/entries.js';
import { columnsOf } from './audit-columns.js';

const COLUMNS = [
  'id',
  'organization_id',
  'leaf_index',
  'leaf_hash',
  'entry',
  'time',
  'type',
  'api_key_id',
  'project_id',
  'actor_id',
  'subject',
  'outcome',
  'ip',
  'path',
];
const HEADS = {
  name: 'audit-heads',
  text: `SELECT organization_id, size::float8 AS size FROM audit_log WHERE organization_id = ANY($1)
         ORDER BY organization_id FOR UPDATE`,
};
const MOVE_HEADS = {
  name: 'move-audit-heads',
  text: `UPDATE audit_log SET size = t.size FROM unnest($1::uuid[], $2::bigint[]) AS t (organization_id, size)
         WHERE audit_log.organization_id = t.organization_id`,
};

/**
 * Appends events to the audit logs of their organizations, in the transaction that ingests them from the outbox. Each
 * log is numbered from 0 without gaps: separate statements lock the heads, then assign the numbers, then write the
 * rows. Numbering and inserting in one statement, or a sequence, would leave gaps.
 */
@Injectable()
export class AuditWriter extends EventSubscriber {
  open(): EventSink {
    return new Leaves();
  }
}

/** Rows of the audit log. Their leaf indexes are filled in last, once the heads are locked. */
class Leaves implements EventSink {
  readonly #rows = new BinaryRows(COLUMNS.length);
  /** For each log, the positions of its leaf indexes in the rows. */
  readonly #places = new Map<string, number[]>();

  add({ envelope, entry }: ReceivedEvent): void {
    const organization = toUuid(envelope.data.organization_id);
    const { type, keyId, projectId, actorId, subject, outcome, ip, path } = columnsOf(envelope);
    // In the order of COLUMNS.
    const place = this.#rows.row().uuid(envelope.id).uuid(organization).laterBigint();
    this.#rows
      .hex(leafHashOf(entry))
      .bytes(entry)
      .timestamp(Date.parse(envelope.time))
      .text(type)
      .uuid(keyId && toUuid(keyId))
      .uuid(projectId && toUuid(projectId))
      .text(actorId)
      .text(subject)
      .text(outcome)
      .inet(ip)
      .text(path);
    const places = this.#places.get(organization);
    if (places) places.push(place);
    else this.#places.set(organization, [place]);
  }

  async write(client: pg.PoolClient): Promise<void> {
    if (this.#places.size === 0) return;
    const sizes = await lockHeads(client, [...this.#places.keys()]);
    for (const [organization, places] of this.#places) {
      const size = sizes.get(organization)!;
      for (const [index, place] of places.entries()) this.#rows.fillBigint(place, size + index);
      sizes.set(organization, size + places.length);
    }
    await this.#rows.copy(client, `audit_event (${COLUMNS.join(', ')})`);
    await client.query({ ...MOVE_HEADS, values: [[...sizes.keys()], [...sizes.values()]] });
  }
}

const leaf = Buffer.alloc(1 + MAX_ENTRY_BYTES);

/**
 * Same result as `leafHash` of tlog, with Node's own SHA-256 in a quarter of the time.
 * @returns hexadecimal digits, which Node produces in half the time of a Buffer
 */
export function leafHashOf(entry: Uint8Array): string {
  leaf.set(entry, 1);
  return hash('sha256', leaf.subarray(0, 1 + entry.length));
}

/**
 * Locks the heads in the order of their ids, so that two workers never deadlock. The first event of an organization
 * creates its head; the foreign key rejects an organization that does not exist.
 */
async function lockHeads(client: pg.PoolClient, organizations: readonly string[]): Promise<Map<string, number>> {
  const lock = async () => {
    const { rows } = await client.query<{ organization_id: string; size: number }>({
      ...HEADS,
      values: [organizations],
    });
    return new Map(rows.map((row) => [row.organization_id, row.size]));
  };
  const sizes = await lock();
  if (sizes.size === organizations.length) return sizes;
  await client.query(
    `INSERT INTO audit_log (organization_id, size) SELECT id, 0 FROM unnest($1::uuid[]) AS id ORDER BY id
     ON CONFLICT DO NOTHING`,
    [organizations.filter((id) => !sizes.has(id))],
  );
  return lock();
}
