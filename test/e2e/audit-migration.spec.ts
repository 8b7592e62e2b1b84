import { expect, it } from '@jest/globals';
import pg from 'pg';
import { columnsOf } from '#libs/audit/audit-columns.js';
import { EventEnvelope } from '#libs/contract/events.js';
import { fromUuid, newEventId, toUuid } from '#libs/contract/ids.js';
import { Network } from '#libs/contract/networks.js';
import { migrate } from '../../apps/cli/migrate.js';
import { createDatabase } from '../support/deployment.js';
import { event } from '../support/events.js';

const organizationId = fromUuid('org', '01900000-0000-7000-8000-000000000001');
const key = fromUuid('key', '01900000-0000-7000-8000-000000000002');
const project = fromUuid('proj', '01900000-0000-7000-8000-000000000003');

const happened = [
  { type: 'api_key.used', subject: key, data: { actor: { type: 'api_key', id: key }, ip: '192.0.2.1', path: '/x' } },
  { type: 'api_key.denied', subject: key, data: { code: 'revoked', ip: '2001:DB8::1', path: '/\\u0000' } },
  { type: 'api_key.denied', subject: key, data: { code: 7, ip: '::ffff:192.0.2.7', path: null } },
  { type: 'project.created', subject: project, data: { code: 'revoked', ip: 'somewhere' } },
  { type: 'odd', subject: 'zero \0\0, \\\0 and \\u0000', data: { path: '\0', project_id: project } },
  { type: 'odd', subject: '\ud800 and \udc00 \ud83d\udd11 \\ud800', data: { ip: '1.2.3', path: '\udfff\ud800' } },
  {
    type: 'odd',
    subject: 'x'.repeat(201),
    data: { actor: { type: 'x', id: 'y'.repeat(201) }, path: 'z'.repeat(10_000) },
  },
  { type: 'odd', subject: 'x'.repeat(200), data: { actor: { type: 'x', id: 'y'.repeat(200) }, path: { a: 1 }, ip: 5 } },
  { type: 'odd', subject: '', data: { actor: { type: 'x', id: '' }, path: '', ip: '' } },
].map((said) => event(organizationId, said));

/** The database of the release before, with events in three of its partitions. */
async function goBack(sql: pg.Client): Promise<void> {
  await sql.query(`
    ALTER TABLE audit_event DROP COLUMN actor_id, DROP COLUMN subject, DROP COLUMN outcome, DROP COLUMN ip, DROP COLUMN path;
    DELETE FROM migration WHERE name = '0003-audit-queries'`);
  const months = [0, 1, 1_000];
  for (const [index, entry] of happened.entries()) {
    const at = new Date(Date.now() + months[index % 3]! * 31 * 86_400_000);
    const { type, time } = EventEnvelope.parse(JSON.parse(Buffer.from(entry).toString()));
    await sql.query(
      `INSERT INTO audit_event (id, organization_id, leaf_index, leaf_hash, entry, type, time)
       VALUES ($1, $2, $3, '', $4, $5, $6)`,
      [newEventId(at), toUuid(organizationId), index, entry, type, time],
    );
  }
}

it('fills the columns of events that are there as the writer would, and leaves the audit log as closed as it was', async () => {
  const database = await createDatabase();
  const sql = new pg.Client({ connectionString: database.adminUrl });
  await sql.connect();
  try {
    await goBack(sql);
    await migrate({ databaseUrl: database.adminUrl });
    const { rows } = await sql.query<Record<string, unknown>>(
      `SELECT actor_id AS "actorId", subject, outcome, ip::text AS ip, path, tableoid::regclass::text AS partition
       FROM audit_event ORDER BY leaf_index`,
    );
    expect(new Set(rows.map((row) => row['partition'])).size).toBe(3);
    expect(rows.map(({ partition: _, ...columns }) => columns)).toEqual(
      happened.map((entry) => {
        const envelope = EventEnvelope.parse(JSON.parse(Buffer.from(entry).toString()));
        const { actorId, subject, outcome, ip, path } = columnsOf(envelope);
        return {
          actorId,
          subject: subject?.toWellFormed() ?? null,
          outcome,
          ip: ip && whole(ip),
          path: path?.toWellFormed() ?? null,
        };
      }),
    );
    const { rows: triggers } = await sql.query(
      `SELECT t.tgname, t.tgenabled, count(*)::int = (SELECT count(*)::int FROM pg_partition_tree('audit_event')) AS everywhere
       FROM pg_partition_tree('audit_event') p JOIN pg_trigger t ON t.tgrelid = p.relid GROUP BY 1, 2 ORDER BY 1`,
    );
    expect(triggers).toEqual([
      { tgname: 'append_only', tgenabled: 'A', everywhere: true },
      { tgname: 'no_truncate', tgenabled: 'A', everywhere: true },
    ]);
    await expect(sql.query('UPDATE audit_event SET type = type')).rejects.toThrow('append-only');
    const { rows: left } = await sql.query(`SELECT proname FROM pg_proc WHERE proname LIKE 'migrated%'`);
    expect(left).toEqual([]);
  } finally {
    await sql.end();
    await database.drop();
  }
});

/** As PostgreSQL writes an address. */
function whole(address: string): string {
  const ip = Network.parse(address);
  return `${ip}/${ip.includes(':') ? 128 : 32}`;
}
