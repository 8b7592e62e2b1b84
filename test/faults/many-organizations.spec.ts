import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { checkAuditLogs } from '#libs/audit/audit-check.js';
import { fromUuid } from '#libs/contract/ids.js';
import { SHARD_GROUPS, shardOf } from '#libs/outbox/shard.js';
import { storedEvents } from '../support/audit-log.js';
import { store } from '../support/events.js';
import { startIngesting, use, type Ingesting } from '../support/ingesting.js';

const ORGANIZATIONS = Number(process.env['ORGANIZATIONS'] ?? 200);
const PER_BATCH = 100;
/** A check takes milliseconds for each log. */
const CHECKED = 1_000;

let place: Ingesting;

beforeAll(async () => {
  place = await startIngesting();
});

afterAll(() => place.stop());

it('a log of one event is complete, takes little space and little time, however many organizations there are', async () => {
  const { sql } = place;
  const { rows: organizations } = await sql.query<{ id: string }>(
    `INSERT INTO organization (id, name, personal, created_at, updated_at, version)
     SELECT uuidv7(), 'Test', false, now(), now(), 1 FROM generate_series(1, $1) RETURNING id`,
    [ORGANIZATIONS],
  );
  const ids = organizations.map(({ id }) => fromUuid('org', id));
  const before = await bytesOfLogs();
  const rounds: string[] = [];
  for (const round of ['first', 'second']) {
    for (const own of Map.groupBy(ids, shardOf).values()) {
      for (let n = 0; n < own.length; n += PER_BATCH) {
        const some = own.slice(n, n + PER_BATCH);
        await store(
          sql,
          some[0]!,
          some.map((id) => use(id, { subject: id.replace('org', 'key') })),
        );
      }
    }
    const began = performance.now();
    for (const shards of SHARD_GROUPS) await place.ingester.ingest(shards);
    const ms = performance.now() - began;
    await sql.query('VACUUM ANALYZE');
    const bytes = (await bytesOfLogs()) - before;
    rounds.push(
      `the ${round} event took ${Math.round((ms * 1_000) / ORGANIZATIONS)} µs to ingest; then ${Math.round(bytes / ORGANIZATIONS)} bytes per log`,
    );
  }

  const { rows } = await sql.query(
    'SELECT count(*)::int AS logs, min(size)::int AS smallest, max(size)::int AS largest, max(segments)::int AS segments FROM audit_log',
  );
  expect(rows).toEqual([{ logs: ORGANIZATIONS, smallest: 2, largest: 2, segments: 2 }]);

  const some = ids.filter((_, n) => n % Math.ceil(ORGANIZATIONS / CHECKED) === 0);
  const began = performance.now();
  const client = await sql.connect();
  for (const id of some) {
    for await (const { difference } of checkAuditLogs(client, id))
      expect({ id, difference }).toEqual({ id, difference: null });
  }
  client.release();
  const checkMs = (performance.now() - began) / some.length;
  for (const id of some.slice(0, 50)) {
    expect((await storedEvents(sql, id)).map(({ data }) => data.organization_id)).toEqual([id, id]);
  }
  process.stderr.write(
    `${ORGANIZATIONS} organizations: ${rounds.join('; ')}; a check takes ${checkMs.toFixed(1)} ms per log\n`,
  );
}, 900_000);

/** All tables of the audit log with their indexes. */
async function bytesOfLogs(): Promise<number> {
  const { rows } = await place.sql.query<{ bytes: number }>(
    `SELECT sum(pg_total_relation_size(oid))::float8 AS bytes FROM pg_class WHERE relname ~ '^audit_' AND relkind = 'r'`,
  );
  return rows[0]!.bytes;
}
