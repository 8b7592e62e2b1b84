import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { headsDifference } from '#libs/audit/heads-check.js';
import { HeadsLog, type NamedEpoch } from '#libs/audit/heads-log.js';
import { WitnessStates } from '#libs/audit/witness-states.js';
import { fromUuid } from '#libs/contract/ids.js';
import { inTransaction, survivingPool } from '#libs/database/database.js';
import { consistencyProof, inclusionProof, verifyConsistency, verifyInclusion, type Tree } from '#libs/tlog/proofs.js';
import { headEntry } from '#libs/tlog/witnessed-receipt.js';
import { createDatabase, type TestDatabase } from '../support/deployment.js';
import { leafHashOf, treeHash } from '../support/reference-tree.js';
import { outcomeOf } from '../support/role-statements.js';

const ORIGIN = 'keys.example.com/0123456789abcdef';
const epoch = { number: 1, origin: ORIGIN, keys: [], anchorId: 'anchor', sequence: 0 } satisfies NamedEpoch;
/** Of each audit log. */
const SIZE = 1_000_000;

let database: TestDatabase;
let admin: pg.Pool;
let api: pg.Pool;
let log: HeadsLog;
let organizations: string[];
/** The leaf hashes of the log, by the definition. */
const leaves: Uint8Array[] = [];
const grown = new Map<string, number>();

beforeAll(async () => {
  database = await createDatabase();
  admin = survivingPool({ connectionString: database.adminUrl, max: 2 });
  api = survivingPool({ connectionString: database.apiUrl, max: 4, options: '-c role=keyledger_api' });
  log = new HeadsLog(api);
  const { rows } = await admin.query<{ id: string }>(
    `WITH created AS (
       INSERT INTO organization (id, name, personal, created_at, updated_at, version)
       SELECT gen_random_uuid(), 'Test', false, now(), now(), 1 FROM generate_series(1, 1500) RETURNING id
     ) INSERT INTO audit_log (organization_id, size) SELECT id, 0 FROM created RETURNING organization_id AS id`,
  );
  organizations = rows.map(({ id }) => id);
  await admin.query(`UPDATE audit_log SET size = ${SIZE}`);
  await admin.query("INSERT INTO audit_epoch (number, anchor_id) VALUES (1, 'anchor')");
  await api.query('INSERT INTO audit_heads (epoch, asked_at) VALUES (1, now())');
});

afterAll(async () => {
  await api.end();
  await admin.end();
  await database.drop();
});

const rootFor = (n: number) => new Uint8Array(32).fill(n % 251);

/** Appends the next heads of these organizations. */
async function append(ids: readonly string[]): Promise<void> {
  const heads = new Map<string, Tree>();
  for (const id of ids) {
    const size = (grown.get(id) ?? 0) + 1;
    grown.set(id, size);
    const root = rootFor(leaves.length);
    heads.set(id, { size, root });
    leaves.push(leafHashOf(headEntry({ origin: `${ORIGIN}/${fromUuid('org', id)}`, size, root })));
  }
  await inTransaction(api, (client) => log.append(client, epoch, heads));
}

describe('the log of heads', () => {
  it('proves each head and each earlier tree, beyond the first tiles', async () => {
    const sizes: number[] = [];
    for (const count of [1, 2, 200, 53, 1, 255, 256, 700, 1]) {
      await append(organizations.slice(0, count));
      sizes.push(leaves.length);
      const { tree } = await log.head(api, epoch);
      expect(tree.size).toBe(leaves.length);
      expect(Buffer.from(tree.root)).toEqual(Buffer.from(treeHash(leaves)));
    }
    const { tree } = await log.head(api, epoch);
    const read = log.nodes(epoch);
    for (const from of sizes) {
      const earlier = { size: from, root: treeHash(leaves.slice(0, from)) };
      verifyConsistency(earlier, tree, await consistencyProof(from, tree.size, read));
    }
    for (const index of [0, 1, 255, 256, 511, 767, 768, 1023, 1024, tree.size - 1]) {
      verifyInclusion({ index, hash: leaves[index]! }, tree, await inclusionProof(index, tree.size, read));
    }
  });

  it('has the newest head of an audit log before each place', async () => {
    const [id] = organizations;
    const all = grown.get(id!)!;
    for (const below of [1, 2, 300, leaves.length]) {
      const head = await log.newestOf(fromUuid('org', id!), epoch, below);
      expect(head!.index).toBeLessThan(below);
      const { origin, size, root } = { origin: `${ORIGIN}/${fromUuid('org', id!)}`, ...head!.tree };
      expect(Buffer.from(leafHashOf(headEntry({ origin, size, root })))).toEqual(Buffer.from(leaves[head!.index]!));
    }
    expect((await log.newestOf(fromUuid('org', id!), epoch, leaves.length))!.tree.size).toBe(all);
    expect(await log.newestOf(fromUuid('org', organizations.at(-1)!), epoch, leaves.length)).toBeNull();
  });

  it('takes the audit logs first that waited longest, and not too many at once', async () => {
    const changed = await log.changed(epoch);
    expect(changed).toHaveLength(1_000);
    const isNew = (id: string) => !grown.has(id);
    expect(changed.filter(isNew)).toEqual(changed.slice(0, organizations.filter(isNew).length));
  });

  it('says which entries are missing', async () => {
    await admin.query('ALTER TABLE audit_head DISABLE TRIGGER ALL');
    const client = await admin.connect();
    await client.query('BEGIN');
    await client.query('DELETE FROM audit_head WHERE index = 300');
    const damaged = new HeadsLog(client as unknown as pg.Pool);
    await expect(inclusionProof(301, leaves.length, damaged.nodes(epoch))).rejects.toThrow(
      'The entries from 300 on of the log of heads cannot be read',
    );
    await client.query('ROLLBACK');
    client.release();
    await admin.query('ALTER TABLE audit_head ENABLE ALWAYS TRIGGER append_only');
    await admin.query('ALTER TABLE audit_head ENABLE ALWAYS TRIGGER no_truncate');
  });
});

describe('keyledger audit check', () => {
  const set = (table: string, column: string) =>
    `UPDATE ${table} SET ${column} = set_byte(${column}, 6, get_byte(${column}, 6) # 255)`;
  const damages: Record<string, [string, string]> = {
    'the root of a head': [`${set('audit_head', 'root')} WHERE index = 1400`, 'the hashes of the head'],
    'a root in a full tile': [`${set('audit_head', 'root')} WHERE index = 300`, 'node 1/1'],
    'the size of a head': ['UPDATE audit_head SET size = size + 1 WHERE index = 1400', 'the hashes of the head'],
    'a missing head': ['DELETE FROM audit_head WHERE index = 300', 'entry 300'],
    'missing heads at the end': ['DELETE FROM audit_head WHERE index >= 1400', 'entry 1400'],
    'a head too many': [
      'INSERT INTO audit_head SELECT epoch, 1000000, organization_id, size, root FROM audit_head WHERE index = 0',
      'the numbers of the rows',
    ],
    'a node': [`${set('audit_head_node', 'hash')} WHERE index = 2`, 'node 1/2'],
    'a missing node': ['DELETE FROM audit_head_node WHERE index = 2', 'node 1/2'],
    'a node too many': [
      'INSERT INTO audit_head_node SELECT epoch, 2, 0, hash FROM audit_head_node WHERE index = 2',
      'the numbers of the rows',
    ],
    'the head of the log': [set('audit_heads', 'frontier'), 'the hashes of the head'],
  };

  async function differenceAfter(damage: string | null): Promise<string | null> {
    const client = await admin.connect();
    try {
      await client.query('BEGIN');
      await client.query('UPDATE audit_epoch SET origin = $1', [ORIGIN]);
      for (const table of ['audit_head', 'audit_head_node', 'audit_heads']) {
        await client.query(`ALTER TABLE ${table} DISABLE TRIGGER USER`);
      }
      if (damage) expect((await client.query(damage)).rowCount).toBeGreaterThan(0);
      // The check runs in this transaction, so that no other test sees the damage.
      const same = {
        query: (text: string, values?: unknown[]) =>
          /^(BEGIN|ROLLBACK)/.test(text) ? Promise.resolve({ rows: [] }) : client.query(text, values),
      };
      return await headsDifference(same as pg.ClientBase);
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  }

  it('finds nothing in the log of heads as it was written', async () => {
    expect(await differenceAfter(null)).toBeNull();
  });

  it.each(Object.entries(damages))('finds what was changed, removed or added: %s', async (_, [sql, what]) => {
    expect(await differenceAfter(sql)).toBe(`${what} of the log of heads of epoch 1`);
  });
});

describe('the roles of the processes', () => {
  it.each([
    'INSERT INTO audit_head SELECT * FROM audit_head LIMIT 1',
    'UPDATE audit_head SET size = size',
    'DELETE FROM audit_head',
    'TRUNCATE audit_head',
    'INSERT INTO audit_head_node SELECT * FROM audit_head_node LIMIT 1',
    'UPDATE audit_head_node SET hash = hash',
    'DELETE FROM audit_head_node',
    'UPDATE audit_heads SET size = size + 1',
    "UPDATE audit_heads SET frontier = ''",
    'UPDATE audit_heads SET epoch = 2',
    'DELETE FROM audit_heads',
    'INSERT INTO audit_heads (epoch, size) VALUES (2, 7)',
    "UPDATE audit_witness SET vkey = ''",
    'DELETE FROM audit_witness',
    'ALTER TABLE audit_head DISABLE TRIGGER ALL',
    'DROP FUNCTION append_audit_heads',
  ])('cannot go around the function: %s', async (sql) => {
    for (const url of [database.apiUrl, database.workerUrl]) {
      expect(await outcomeOf(url, sql)).toMatch(/permission denied|must be owner/);
    }
  });

  it('of the worker cannot append', async () => {
    const sql = "SELECT append_audit_heads(1, 0, '', '{}', '{}', '{}', '{}', '{}', '{}')";
    expect(await outcomeOf(database.workerUrl, sql)).toContain('permission denied');
  });

  it('cannot take back what the witnesses cosigned, nor claim more than there is', async () => {
    const set = (size: number) => outcomeOf(database.apiUrl, `UPDATE audit_heads SET cosigned_size = ${size}`);
    await api.query('UPDATE audit_heads SET cosigned_size = 5');
    expect(await set(6)).toBe('done');
    expect(await set(4)).toContain('the log of heads only grows');
    expect(await set(leaves.length + 1)).toContain('check constraint');
  });
});

describe('the witnesses', () => {
  it('are asked by one node in each interval', async () => {
    const states = new WitnessStates(api);
    const turns = (ms: number) => Promise.all(Array.from({ length: 5 }, () => states.takeTurn(epoch, ms)));
    await admin.query("UPDATE audit_heads SET asked_at = now() - interval '1 minute'");
    expect((await turns(50_000)).filter(Boolean)).toHaveLength(1);
    expect((await turns(50_000)).filter(Boolean)).toHaveLength(0);
    // Before the first round.
    await admin.query('UPDATE audit_heads SET asked_at = NULL');
    expect((await turns(50_000)).filter(Boolean)).toHaveLength(1);
  });
});

describe('the function of the database', () => {
  interface Call {
    epoch: number;
    size: number;
    frontier: Buffer;
    organizations: (string | null)[];
    sizes: (number | null)[];
    roots: (Buffer | null)[];
    levels: number[];
    indexes: number[];
    hashes: Buffer[];
  }
  const ones = (n: number) => n.toString(2).replaceAll('0', '').length;
  /** A call that appends the next head of one organization. */
  const valid = (): Call => ({
    epoch: 1,
    size: leaves.length,
    frontier: Buffer.alloc(32 * ones(leaves.length + 1)),
    organizations: [organizations[0]!],
    sizes: [grown.get(organizations[0]!)! + 1],
    roots: [Buffer.alloc(32)],
    levels: [],
    indexes: [],
    hashes: [],
  });
  const call = (values: Call) =>
    outcomeOf(database.apiUrl, 'SELECT append_audit_heads($1, $2, $3, $4, $5, $6, $7, $8, $9)', Object.values(values));

  it('appends what continues the log', async () => {
    expect(await call(valid())).toBe('done');
  });

  it.each<[string, () => Partial<Call>]>([
    ['another size of the log', () => ({ size: leaves.length - 1, frontier: Buffer.alloc(32 * ones(leaves.length)) })],
    ['another epoch', () => ({ epoch: 2 })],
    ['no head', () => ({ organizations: [], sizes: [], roots: [], frontier: Buffer.alloc(32 * ones(leaves.length)) })],
    ['hashes for another size', () => ({ frontier: Buffer.alloc(32 * (ones(leaves.length + 1) + 1)) })],
    ['a head that is not larger than the earlier one', () => ({ sizes: [grown.get(organizations[0]!)!] })],
    ['a head beyond the audit log', () => ({ sizes: [SIZE + 1] })],
    ['an unknown audit log', () => ({ organizations: ['01900000-0000-7000-8000-0000000000ff'] })],
    ['a head without a root', () => ({ roots: [null] })],
    ['a root of another length', () => ({ roots: [Buffer.alloc(31)] })],
    ['a head without a size', () => ({ sizes: [null] })],
    [
      'the same audit log twice',
      () => ({
        organizations: [organizations[0]!, organizations[0]!],
        sizes: [900, 901],
        roots: [Buffer.alloc(32), Buffer.alloc(32)],
        frontier: Buffer.alloc(32 * ones(leaves.length + 2)),
      }),
    ],
    ['a node that is not complete yet', () => ({ levels: [1], indexes: [99], hashes: [Buffer.alloc(32)] })],
    ['a node that was complete before', () => ({ levels: [1], indexes: [0], hashes: [Buffer.alloc(32)] })],
    ['a node of level 0', () => ({ levels: [0], indexes: [leaves.length], hashes: [Buffer.alloc(32)] })],
  ])('rejects %s', async (_, changed) => {
    expect(await call({ ...valid(), ...changed() })).toMatch(
      /do not continue their audit logs|has another size|violates (check|not-null)/,
    );
  });
});
