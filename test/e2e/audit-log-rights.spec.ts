import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { checkAuditLogs } from '#libs/audit/audit-check.js';
import { fromUuid, toUuid } from '#libs/contract/ids.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { fillAuditLog } from '../support/audit-log.js';
import { allIngested } from '../support/events.js';
import { outcomeOf, outcomesOf } from '../support/role-statements.js';

let deployment: Deployment;
let ada: Account;
/** Has a node of level 2, which takes 65,536 entries. */
let bob: Account;
/** The organization of `ada`, as a bare UUID. */
let id: string;
const size = 2_700;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  bob = await deployment.account();
  await allIngested(deployment);
  const apiKeyId = fromUuid('key', '01900000-0000-7000-8000-000000000001');
  const uses = { apiKeyId, data: { ip: '192.0.2.1' }, path: '/v1/' };
  await fillAuditLog(deployment.sql, size, { ...uses, organizationId: ada.organizationId });
  await fillAuditLog(deployment.sql, 65_600, { ...uses, organizationId: bob.organizationId });
  id = toUuid(ada.organizationId);
}, 120_000);

afterAll(() => deployment.stop());

const TABLES = [
  'audit_log',
  'audit_segment',
  'audit_bundle',
  'audit_body',
  'audit_kept_tile',
  'audit_tree_node',
  'audit_management_event',
];

describe('the roles of the processes', () => {
  it.each(TABLES)('cannot write %s directly', async (table) => {
    const statements = [
      `INSERT INTO ${table} SELECT * FROM ${table} LIMIT 1`,
      `UPDATE ${table} SET organization_id = organization_id`,
      `DELETE FROM ${table}`,
      `TRUNCATE ${table}`,
      `DROP TABLE ${table}`,
      `ALTER TABLE ${table} DISABLE TRIGGER ALL`,
      `COPY ${table} FROM STDIN`,
      `MERGE INTO ${table} t USING ${table} s ON false WHEN NOT MATCHED THEN INSERT (organization_id) VALUES (s.organization_id)`,
      `SELECT FROM ${table} FOR UPDATE`,
    ];
    const { apiUrl, workerUrl } = deployment.database;
    const isDenied = expect.stringMatching(/permission denied|must be owner/) as unknown;
    for (const url of [apiUrl, workerUrl]) {
      const outcomes = await outcomesOf(url, statements);
      expect(statements.map((sql, n) => [sql, outcomes[n]])).toEqual(statements.map((sql) => [sql, isDenied]));
    }
  });

  it.each([
    'lock_audit_logs(ARRAY[]::uuid[])',
    'ensure_audit_partitions(1)',
    `append_management_events(${Array.from({ length: 14 }, () => 'NULL').join(', ')})`,
    `append_to_audit_logs(${Array.from({ length: 26 }, () => 'NULL').join(', ')})`,
  ])('of the API cannot call %s', async (call) => {
    expect(await outcomeOf(deployment.database.apiUrl, `SELECT ${call}`)).toContain('permission denied');
  });

  it.each([
    'CREATE OR REPLACE FUNCTION append_to_audit_logs() RETURNS void LANGUAGE sql AS $$SELECT$$',
    'DROP FUNCTION append_management_events',
    'ALTER FUNCTION lock_audit_logs SECURITY INVOKER',
    "SELECT protect_audit_partition('audit_body_default')",
  ])('of the worker cannot change the functions: %s', async (sql) => {
    expect(await outcomeOf(deployment.database.workerUrl, sql)).not.toBe('done');
  });
});

/** The parameters of `append_to_audit_logs`, in order. */
interface Call {
  logs: unknown[];
  sizes: unknown[];
  newSizes: unknown[];
  frontiers: unknown[];
  kept: unknown[];
  latests: unknown[];
  latenesses: unknown[];
  segmentFirsts: unknown[];
  segmentOldest: unknown[];
  segmentNewest: unknown[];
  segmentTerms: unknown[];
  segmentTermsOf: unknown[];
  segmentLengths: unknown[];
  bundleLogs: unknown[];
  bundleIndexes: unknown[];
  roots: unknown[];
  bundleOldest: unknown[];
  bundleNewest: unknown[];
  bundleLatest: unknown[];
  bundleTerms: unknown[];
  bundleLengths: unknown[];
  nodeLogs: unknown[];
  nodeLevels: unknown[];
  nodeIndexes: unknown[];
  nodeHashes: unknown[];
  bodies: Buffer;
}

const NOW = '2026-11-28T00:00:00Z';
const ones = (n: number) => n.toString(2).replaceAll('0', '').length;

/** A call that continues the log by some entries without completing a bundle. */
function appending(count: number): Call {
  return {
    logs: [id],
    sizes: [size],
    newSizes: [size + count],
    frontiers: [Buffer.alloc(32 * ones(size + count))],
    kept: [true],
    latests: [NOW],
    latenesses: [0],
    segmentFirsts: [size],
    segmentOldest: [NOW],
    segmentNewest: [NOW],
    segmentTerms: ['{}'],
    segmentTermsOf: ['{}'],
    segmentLengths: [1],
    bundleLogs: [],
    bundleIndexes: [],
    roots: [],
    bundleOldest: [],
    bundleNewest: [],
    bundleLatest: [],
    bundleTerms: [],
    bundleLengths: [],
    nodeLogs: [],
    nodeLevels: [],
    nodeIndexes: [],
    nodeHashes: [],
    bodies: Buffer.of(0),
  };
}

/** The same, with a bundle at some index, or at several. */
function sealing(newSize: number, ...indexes: number[]): Call {
  const each = <T>(value: T) => indexes.map(() => value);
  const rest = newSize % 256;
  return {
    ...appending(newSize - size),
    kept: [false],
    segmentFirsts: [rest > 0 ? newSize - rest : null],
    segmentOldest: [rest > 0 ? NOW : null],
    segmentNewest: [rest > 0 ? NOW : null],
    segmentTerms: [rest > 0 ? '{}' : null],
    segmentTermsOf: [rest > 0 ? '{}' : null],
    segmentLengths: [rest > 0 ? 1 : null],
    bundleLogs: each(id),
    bundleIndexes: indexes,
    roots: each(Buffer.alloc(32)),
    bundleOldest: each(NOW),
    bundleNewest: each(NOW),
    bundleLatest: each(NOW),
    bundleTerms: each('{}'),
    bundleLengths: each(1),
    bodies: Buffer.alloc(1 + indexes.length),
  };
}

describe('the worker’s function', () => {
  const call = (values: Call) =>
    outcomeOf(
      deployment.database.workerUrl,
      `SELECT append_to_audit_logs(${Object.keys(values)
        .map((_, n) => `$${n + 1}`)
        .join(', ')})`,
      Object.values(values),
    );

  it('appends what continues a log', async () => {
    const next = Math.floor(size / 256);
    expect(await call(appending(3))).toBe('done');
    expect(await call(sealing((next + 1) * 256, next))).toBe('done');
    expect(await call(sealing((next + 2) * 256 + 1, next, next + 1))).toBe('done');
  });

  const open = () => Math.floor(size / 256);
  const refused: Record<string, () => Call> = {
    'an older size': () => ({ ...appending(3), sizes: [size - 1], segmentFirsts: [size - 1] }),
    'a larger size, which leaves a gap': () => ({ ...appending(3), sizes: [size + 1], segmentFirsts: [size + 1] }),
    'a log that shrinks': () => ({ ...appending(3), newSizes: [size - 3] }),
    'a log that stays as it is': () => ({ ...appending(3), newSizes: [size] }),
    'an unknown log': () => ({ ...appending(3), logs: ['01900000-0000-7000-8000-0000000000ff'] }),
    'the same log twice': () => {
      const once = appending(3);
      return Object.fromEntries(
        Object.entries(once).map(([name, value]) => [name, Array.isArray(value) ? [...value, ...value] : value]),
      ) as unknown as Call;
    },
    'a segment that begins earlier': () => ({ ...appending(3), segmentFirsts: [size - 1] }),
    'a segment that begins later': () => ({ ...appending(3), segmentFirsts: [size + 1] }),
    'no segment for its entries': () => ({ ...appending(3), segmentFirsts: [null] }),
    'a new size beyond a bundle, without that bundle': () => ({
      ...appending(400),
      frontiers: [Buffer.alloc(32 * ones(size + 400))],
    }),
    'hashes for another size': () => ({ ...appending(3), frontiers: [Buffer.alloc(32 * (ones(size + 3) + 1))] }),
    'a bundle that exists': () => sealing((open() + 1) * 256, 0),
    'a bundle after the next one': () => sealing((open() + 1) * 256, open() + 1),
    'a bundle too many': () => sealing((open() + 1) * 256, open(), open() + 1),
    'one bundle twice': () => sealing((open() + 2) * 256, open(), open()),
    'a bundle of another log': () => ({
      ...sealing((open() + 1) * 256, open()),
      bundleLogs: ['01900000-0000-7000-8000-0000000000ff'],
    }),
    'a bundle beside kept segments': () => ({ ...sealing((open() + 1) * 256, open()), kept: [true] }),
    'segments that disappear': () => ({ ...appending(3), kept: [false] }),
    'segments of which it does not say whether they stay': () => ({ ...appending(3), kept: [null] }),
    'a bundle without a body': () => ({ ...sealing((open() + 1) * 256, open()), bundleLengths: [null] }),
    'the same node twice': () => ({
      ...appending(3),
      nodeLogs: [id, id],
      nodeLevels: [2, 2],
      nodeIndexes: [0, 0],
      nodeHashes: [Buffer.alloc(32), Buffer.alloc(32)],
    }),
    'a tree node that is not complete yet': () => ({
      ...appending(3),
      nodeLogs: [id],
      nodeLevels: [2],
      nodeIndexes: [0],
      nodeHashes: [Buffer.alloc(32)],
    }),
    'a node of another log': () => ({
      ...appending(3),
      nodeLogs: ['01900000-0000-7000-8000-0000000000ff'],
      nodeLevels: [2],
      nodeIndexes: [0],
      nodeHashes: [Buffer.alloc(32)],
    }),
  };

  it.each(Object.entries(refused))('rejects %s', async (_, values) => {
    expect(await call(values())).toMatch(
      /do not continue their audit logs|has another size|violates (unique|not-null)|duplicate key/,
    );
  });

  it.each([
    ['a leaf that is not in the log yet', () => size],
    ['a negative leaf', () => -1],
    ['a leaf of an earlier transaction', () => 300],
    ['a leaf that has a row', () => 0],
  ])('rejects a row to search %s', async (_, leafIndex) => {
    const sql = `SELECT append_management_events(ARRAY[$1::uuid], ARRAY[$2::bigint], ARRAY[gen_random_uuid()], '{x}', '{now}',
                   '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{"{}"}', '{1}', '\\x00')`;
    expect(await outcomeOf(deployment.database.workerUrl, sql, [id, leafIndex()])).toMatch(
      /no audit log|duplicate key/,
    );
  });
});

describe('the partitions of coming months', () => {
  it('are created although one month has bundles outside its partition', async () => {
    const client = await deployment.sql.connect();
    try {
      await client.query('BEGIN');
      await client.query(`INSERT INTO audit_body VALUES ($1, 0, now() + interval '8 months', '{}', '')`, [id]);
      const { rows } = await client.query<{ made: number }>('SELECT ensure_audit_partitions(10) AS made');
      // Three months ahead exist.
      expect(rows).toEqual([{ made: 6 }]);
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  });

  it('are created for two years at most', async () => {
    const { workerUrl } = deployment.database;
    expect(await outcomeOf(workerUrl, 'SELECT ensure_audit_partitions(25)')).toContain('at most 24 months ahead');
    expect(await outcomeOf(workerUrl, 'SELECT ensure_audit_partitions(NULL)')).not.toBe('done');
  });
});

describe('keyledger audit check', () => {
  const changes: Record<string, string> = {
    'a size': `UPDATE audit_log SET size = size + 1 WHERE organization_id = $1`,
    'the hashes of a head': `UPDATE audit_log SET frontier = set_byte(frontier, 6, get_byte(frontier, 6) # 255) WHERE organization_id = $1`,
    'the latest time of a head': `UPDATE audit_log SET latest = latest + interval '1 ms' WHERE organization_id = $1`,
    'the lateness of a head': 'UPDATE audit_log SET lateness_ms = lateness_ms + 1 WHERE organization_id = $1',
    'the number of segments': 'UPDATE audit_log SET segments = segments + 1 WHERE organization_id = $1',
    'a missing segment': 'DELETE FROM audit_segment WHERE organization_id = $1',
    'the first leaf of a segment': 'UPDATE audit_segment SET first = first + 1 WHERE organization_id = $1',
    'the time of a segment': `UPDATE audit_segment SET newest = newest + interval '1 ms' WHERE organization_id = $1`,
    'a term of a segment': 'UPDATE audit_segment SET terms = terms[2:] WHERE organization_id = $1',
    'a damaged segment': `UPDATE audit_segment SET body = set_byte(body, 29, get_byte(body, 29) # 255) WHERE organization_id = $1`,
    'a root': `UPDATE audit_bundle SET root = set_byte(root, 6, get_byte(root, 6) # 255) WHERE organization_id = $1 AND index = 7`,
    'the oldest time of a bundle': `UPDATE audit_bundle SET oldest = oldest - interval '1 ms' WHERE organization_id = $1 AND index = 7`,
    'the newest time of a bundle': `UPDATE audit_bundle SET newest = newest + interval '1 ms' WHERE organization_id = $1 AND index = 7`,
    'the latest time of a bundle': `UPDATE audit_bundle SET latest = latest + interval '1 ms' WHERE organization_id = $1 AND index = 7`,
    'the partition of a body': `UPDATE audit_bundle SET sealed_at = sealed_at - interval '1 s' WHERE organization_id = $1 AND index = 7`,
    'a missing bundle': 'DELETE FROM audit_bundle WHERE organization_id = $1 AND index = 7',
    'a missing body': 'DELETE FROM audit_body WHERE organization_id = $1 AND index = 7',
    'an exchanged body': `UPDATE audit_body a SET body = b.body FROM audit_body b
      WHERE a.organization_id = $1 AND a.index = 7 AND b.organization_id = $1 AND b.index = 8`,
    'a missing term of a bundle': 'UPDATE audit_body SET terms = terms[2:] WHERE organization_id = $1 AND index = 7',
    'another term of a bundle': 'UPDATE audit_body SET terms = terms || 7 WHERE organization_id = $1 AND index = 7',
    'a missing row to search': 'DELETE FROM audit_management_event WHERE organization_id = $1 AND leaf_index = 0',
    'an exchanged entry of a row to search': `UPDATE audit_management_event SET entry = entry || ' ' WHERE organization_id = $1 AND leaf_index = 0`,
    'the type of a row to search': `UPDATE audit_management_event SET type = 'x' WHERE organization_id = $1 AND leaf_index = 0`,
    'the actor of a row to search': `UPDATE audit_management_event SET actor_id = 'x' WHERE organization_id = $1 AND leaf_index = 0`,
    'the search terms of a row to search': `UPDATE audit_management_event SET terms = terms || 7 WHERE organization_id = $1 AND leaf_index = 0`,
    'a row to search that no entry has': `INSERT INTO audit_management_event
      (organization_id, leaf_index, id, entry, type, time, terms)
      SELECT organization_id, 500, gen_random_uuid(), entry, type, time, terms FROM audit_management_event
      WHERE organization_id = $1 AND leaf_index = 0`,
  };

  const nodes: Record<string, string> = {
    'a node': `UPDATE audit_tree_node SET hash = set_byte(hash, 6, get_byte(hash, 6) # 255) WHERE organization_id = $1`,
    'a missing node': 'DELETE FROM audit_tree_node WHERE organization_id = $1',
    'a node too many':
      'INSERT INTO audit_tree_node SELECT organization_id, 3, 0, hash FROM audit_tree_node WHERE organization_id = $1',
  };

  async function differencesAfter(sql: string | null, of: Account): Promise<(string | null)[]> {
    const client = await deployment.sql.connect();
    try {
      await client.query('BEGIN');
      if (sql) {
        for (const table of TABLES) await client.query(`ALTER TABLE ${table} DISABLE TRIGGER USER`);
        const { rowCount } = await client.query(sql, [toUuid(of.organizationId)]);
        expect(rowCount).toBeGreaterThan(0);
      }
      const found: (string | null)[] = [];
      // The check runs in this transaction, so that no other test sees the damage.
      const same = { query: (text: string, values?: unknown[]) => skipTransactions(client, text, values) };
      for await (const { difference } of checkAuditLogs(same as pg.ClientBase, of.organizationId))
        found.push(difference);
      return found;
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  }

  function skipTransactions(client: pg.PoolClient, text: string, values?: unknown[]) {
    return /^(BEGIN|ROLLBACK)/.test(text) ? Promise.resolve({ rows: [] }) : client.query(text, values);
  }

  it('finds nothing in a log as it was written', async () => {
    expect(await differencesAfter(null, ada)).toEqual([null]);
    expect(await differencesAfter(null, bob)).toEqual([null]);
  });

  it.each(Object.entries(changes))('finds what was changed or removed: %s', async (_, sql) => {
    expect(await differencesAfter(sql, ada)).toEqual([expect.any(String)]);
  });

  it.each(Object.entries(nodes))('finds what was changed or removed in a large log: %s', async (_, sql) => {
    expect(await differencesAfter(sql, bob)).toEqual([expect.any(String)]);
  });
});
