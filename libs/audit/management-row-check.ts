import type pg from 'pg';
import { toUuid } from '#libs/contract/ids.js';
import { addressOf } from '#libs/contract/networks.js';
import { columnsOf } from './audit-columns.js';
import { readEnvelope, same } from './difference.js';
import { exactMsOf } from './instants.js';
import type { Span } from './span.js';
import { rowTermsOf } from './terms.js';

interface ManagementRow {
  readonly leaf_index: number;
  readonly id: string;
  readonly entry: Buffer;
  readonly type: string;
  readonly time: number;
  readonly api_key_id: string | null;
  readonly project_id: string | null;
  readonly actor_id: string | null;
  readonly subject: string | null;
  readonly address: string | null;
  readonly bits: number | null;
  readonly path: string | null;
  readonly terms: readonly number[];
}

/** The rows to search management events, in order. @param id the organization, as a bare UUID */
export async function readManagementRows(
  client: pg.ClientBase,
  id: string,
  { from, below }: Span,
): Promise<ManagementRow[]> {
  const { rows } = await client.query<ManagementRow>(
    `SELECT leaf_index::float8 AS leaf_index, id, entry, type, ${exactMsOf('time')}, api_key_id, project_id, actor_id, subject,
            host(ip) AS address, masklen(ip) AS bits, path, terms
     FROM audit_management_event WHERE organization_id = $1 AND leaf_index >= $2 AND leaf_index < $3
     ORDER BY leaf_index`,
    [id, from, below],
  );
  return rows;
}

/** @throws Difference if the row is not that of the entry */
export function checkManagementRow(row: ManagementRow, entry: Uint8Array): void {
  const what = `the row to search leaf ${row.leaf_index}`;
  same(`the entry in ${what}`, row.entry, entry);
  const envelope = readEnvelope(row.leaf_index, entry);
  const columns = columnsOf(envelope);
  const { type, keyId, projectId, actorId, subject, ip, path } = columns;
  same(
    what,
    [
      row.id,
      row.type,
      row.time,
      row.api_key_id,
      row.project_id,
      row.actor_id,
      row.subject,
      row.path,
      row.bits,
      oneNotationOf(row.address),
      sorted(row.terms),
    ],
    [
      envelope.id.toLowerCase(),
      type,
      exactMs(envelope.time),
      keyId && toUuid(keyId),
      projectId && toUuid(projectId),
      actorId,
      subject,
      path,
      ip && bitsOf(ip),
      oneNotationOf(ip && ip.split('/', 1)[0]!),
      sorted(rowTermsOf(columns)),
    ],
  );
}

/** `Date.parse` cuts off what is finer than a millisecond, and PostgreSQL does not. */
function exactMs(time: string): number {
  const [, rest = ''] = /\.\d{3}(\d{1,3})/.exec(time) ?? [];
  return Number(`${Date.parse(time)}.${rest}`);
}

function bitsOf(address: string): number {
  const [, bits = address.includes(':') ? 128 : 32] = address.split('/');
  return Number(bits);
}

/** PostgreSQL writes some IPv6 addresses in another notation than we do. */
function oneNotationOf(address: string | null): string | null {
  return address && addressOf(address);
}

export function sorted(terms: readonly number[]): number[] {
  return terms.toSorted((a, b) => a - b);
}
