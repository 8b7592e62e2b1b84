import type pg from 'pg';
import { toUuid } from '#libs/contract/ids.js';

interface Uses {
  readonly organizationId: string;
  readonly apiKeyId: string;
  /** The fields of every event. */
  readonly data: Record<string, unknown>;
  /** The beginning of the path, which ends with the leaf index. */
  readonly path: string;
}

/** Inserts events that look like uses directly into an audit log, until it has this size. */
export async function fillAuditLog(sql: pg.Pool, size: number, uses: Uses): Promise<void> {
  const { organizationId, apiKeyId, path } = uses;
  const data = { organization_id: organizationId, actor: { type: 'api_key', id: apiKeyId }, ...uses.data };
  const { rows } = await sql.query<{ size: string }>(
    'INSERT INTO audit_log VALUES ($1, 0) ON CONFLICT (organization_id) DO UPDATE SET size = audit_log.size RETURNING size',
    [toUuid(organizationId)],
  );
  await sql.query(
    `INSERT INTO audit_event (id, organization_id, leaf_index, leaf_hash, entry, type, time, outcome, path)
     SELECT (substr(uuid_at(now())::text, 1, 13) || '-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, $1, n, '',
            convert_to(json_build_object(
              'specversion', '1.0', 'id', (substr(uuid_at(now())::text, 1, 13) || '-7000-8000-' || lpad(to_hex(n), 12, '0')),
              'source', 'http://keyledger.test', 'type', 'api_key.used', 'time', '2026-11-20T19:55:17.055Z',
              'subject', $2::text, 'datacontenttype', 'application/json',
              'data', $3::jsonb || jsonb_build_object('path', $4::text || n))::text, 'UTF8'),
            'api_key.used', now(), 'valid', $4::text || n
     FROM generate_series($5::bigint, $6::bigint - 1) AS n`,
    [toUuid(organizationId), apiKeyId, data, path, rows[0]!.size, size],
  );
  await sql.query('UPDATE audit_log SET size = $2 WHERE organization_id = $1', [toUuid(organizationId), size]);
}
