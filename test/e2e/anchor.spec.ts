import {
  appendFile,
  copyFile,
  link,
  mkdtemp,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { AuditReader } from '#libs/audit/audit-reader.js';
import { AuditTree } from '#libs/audit/audit-tree.js';
import { Anchoring } from '#libs/audit/anchoring.js';
import { Checkpoints } from '#libs/audit/checkpoints.js';
import { HeadsLog } from '#libs/audit/heads-log.js';
import { beginEpoch } from '#libs/audit/new-epoch.js';
import { fromUuid, toUuid } from '#libs/contract/ids.js';
import { survivingPool } from '#libs/database/database.js';
import { SHARD_GROUPS } from '#libs/outbox/shard.js';
import { Events } from '#libs/outbox/event.js';
import { DatabaseClock } from '#libs/platform/clock.js';
import { readConfig } from '#libs/platform/config.js';
import type { DomainError } from '#libs/platform/errors.js';
import { PersonalData } from '#libs/platform/personal-data.js';
import { Sealing } from '#libs/platform/sealing.js';
import { openCheckpoint } from '#libs/tlog/checkpoint.js';
import { parseVkey } from '#libs/tlog/note.js';
import { consistencyProof, verifyConsistency } from '#libs/tlog/proofs.js';
import { verifyReceipt } from '#libs/tlog/receipt.js';
import { appendUses, storedEvents } from '../support/audit-log.js';
import { createDatabase, TEST_SECRET, type TestDatabase } from '../support/deployment.js';
import { newIngester, newOrganization } from '../support/ingesting.js';

/** What signs the checkpoints of an API node. Its database can be replaced while it runs, as in a failover. */
class Node {
  #pool: pg.Pool;
  readonly checkpoints: Checkpoints;
  readonly anchoring: Anchoring;
  readonly tree: AuditTree;
  readonly heads: HeadsLog;
  readonly config;

  constructor(
    public database: TestDatabase,
    readonly anchorFile: string,
    secret = TEST_SECRET,
    settings: Record<string, string> = { ANCHOR_FILE: anchorFile },
  ) {
    this.config = readConfig({
      DATABASE_URL: database.apiUrl,
      KEYLEDGER_SECRET: secret,
      PUBLIC_URL: 'http://keys.example.com',
      ...settings,
    });
    this.#pool = this.#open();
    const pool = {
      query: (...args: [string, unknown[]]) => this.#pool.query(...args),
      connect: () => this.#pool.connect(),
    } as unknown as pg.Pool;
    this.tree = new AuditTree(new AuditReader(pool), pool);
    this.heads = new HeadsLog(pool);
    this.anchoring = new Anchoring(pool, this.tree, this.heads, this.config);
    this.checkpoints = new Checkpoints(this.anchoring, this.tree, new Sealing(this.config), this.config, pool);
    nodes.push(this);
  }

  #open(): pg.Pool {
    const pool = survivingPool({ connectionString: this.database.apiUrl, max: 6 });
    return pool;
  }

  /** Without a restart of the node. */
  async failOverTo(database: TestDatabase): Promise<void> {
    await this.#pool.end();
    this.database = database;
    this.#pool = this.#open();
  }

  /** The next statement connects again. */
  async disconnect(): Promise<void> {
    await this.#pool.end();
    this.#pool = this.#open();
  }

  async stop(): Promise<void> {
    await this.#pool.end();
  }

  /** What a caller gets: the size that was signed, or why none was. */
  async sign(): Promise<number | string> {
    try {
      const { note } = await this.checkpoints.sign(organizationId);
      const [vkey] = await this.checkpoints.vkeys(organizationId);
      return openCheckpoint(note, [parseVkey(vkey!)]).size;
    } catch (error) {
      const { code, message } = error as DomainError;
      return code === 'checkpoint_unavailable' ? message : `another error: ${code}`;
    }
  }
}

const nodes: Node[] = [];
const databases: TestDatabase[] = [];
let directory: string;
let organizationId: string;
let node: Node;

async function sqlOf<T>(database: TestDatabase, work: (pool: pg.Pool) => Promise<T>): Promise<T> {
  const pool = survivingPool({ connectionString: database.adminUrl, max: 2 });
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}

/** Appends entries to the log, as the worker does. */
async function record(database: TestDatabase, count: number, path = '/'): Promise<void> {
  await sqlOf(database, async (pool) => {
    const { rows } = await pool.query<{ size: number }>(
      'SELECT size::float8 AS size FROM audit_log WHERE organization_id = $1',
      [toUuid(organizationId)],
    );
    const from = rows[0]?.size ?? 0;
    const client = await pool.connect();
    await client.query('BEGIN');
    const uses = { organizationId, apiKeyId: fromUuid('key', '01900000-0000-7000-8000-000000000001'), data: {}, path };
    await appendUses(client, { from, below: from + count }, uses);
    await client.query('COMMIT');
    client.release();
  });
}

/** A copy of the database, as a backup or a server that lags has it. */
async function copyOf({ database }: Node): Promise<TestDatabase> {
  // PostgreSQL copies only a database without connections.
  for (const each of nodes) if (each.database === database) await each.disconnect();
  const copy = await createDatabase({ adminUrl: process.env['KEYLEDGER_TEST_ADMIN_URL']!, template: database.name });
  databases.push(copy);
  return copy;
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyledger-anchor-'));
  const database = await createDatabase();
  databases.push(database);
  organizationId = await sqlOf(database, (pool) => newOrganization(pool));
  await record(database, 10);
  node = new Node(database, join(directory, 'anchor'));
});

afterEach(async () => {
  for (const each of nodes.splice(0)) await each.stop();
  for (const each of databases.splice(0)) await each.drop();
  await rm(directory, { recursive: true });
});

describe('a checkpoint', () => {
  it('continues every earlier one, under one origin and key', async () => {
    const [vkey] = await node.checkpoints.vkeys(organizationId);
    const key = parseVkey(vkey!);
    expect(key.name).toMatch(new RegExp(`^keys\\.example\\.com/[\\da-f]{16}/${organizationId}$`));
    let earlier = openCheckpoint((await node.checkpoints.sign(organizationId)).note, [key]);
    for (const count of [1, 0, 245, 1, 300, 2]) {
      await record(node.database, count);
      const later = openCheckpoint((await node.checkpoints.sign(organizationId)).note, [key]);
      expect(later.size).toBe(earlier.size + count);
      const read = node.tree.nodes(organizationId, await node.tree.head(organizationId));
      verifyConsistency(earlier, later, await consistencyProof(earlier.size, later.size, read));
      earlier = later;
    }
    expect(await node.checkpoints.vkeys(organizationId)).toEqual([vkey]);
  });

  it('is the same after a restart, and signed by every node that shares the anchor', async () => {
    const first = (await node.checkpoints.sign(organizationId)).note;
    const other = new Node(node.database, node.anchorFile);
    expect((await other.checkpoints.sign(organizationId)).note).toBe(first);
    await record(node.database, 5);
    expect(await other.sign()).toBe(15);
    await record(node.database, 5);
    expect(await Promise.all([node.sign(), other.sign(), node.sign(), other.sign()])).toEqual([20, 20, 20, 20]);
  });

  it('of the first call is the same for nodes that start together', async () => {
    const other = new Node(node.database, node.anchorFile);
    const all = await Promise.all([node, other, node, other].map((each) => each.checkpoints.sign(organizationId)));
    expect(new Set(all.map(({ note }) => note)).size).toBe(1);
  });

  it('of a log without entries is one of size 0', async () => {
    organizationId = await sqlOf(node.database, (pool) => newOrganization(pool));
    expect(await node.sign()).toBe(0);
    await record(node.database, 3);
    expect(await node.sign()).toBe(3);
  });

  it('is in a receipt, which proves the entry without the server', async () => {
    const key = parseVkey((await node.checkpoints.vkeys(organizationId))[0]!);
    await record(node.database, 300);
    for (const index of [0, 9, 255, 256, 309]) {
      const receipt = await node.checkpoints.receipt(organizationId, index);
      const proven = verifyReceipt(receipt, [key]);
      expect(proven).toMatchObject({ index, checkpoint: { size: 310 } });
      expect(JSON.parse(Buffer.from(proven.entry).toString())).toMatchObject({ type: 'api_key.used' });
    }
  });

  it('has its anchor in DATA_DIR, which is created, unless ANCHOR_FILE says otherwise', async () => {
    const data = join(directory, 'not', 'there', 'yet');
    const other = new Node(node.database, join(data, 'audit-anchor'), TEST_SECRET, { DATA_DIR: data });
    expect(await other.sign()).toBe(10);
    expect(await readFile(other.anchorFile, 'utf8')).toContain(' 10 ');
  });

  it('is not signed with another KEYLEDGER_SECRET than that of its key', async () => {
    await node.sign();
    const other = new Node(node.database, node.anchorFile, 'another secret for tests, also long enough');
    await expect(other.checkpoints.sign(organizationId)).rejects.toThrow('sealed with another KEYLEDGER_SECRET');
  });
});

describe('no checkpoint is signed, but events are recorded, and the detail names the way out,', () => {
  /** The log grows although nothing is signed. */
  const expectRefused = async (detail: RegExp, signer = node) => {
    for (let n = 0; n < 2; n++) {
      expect(await signer.sign()).toMatch(detail);
      expect(await signer.sign()).toContain('`keyledger audit new-epoch` begins a new epoch');
      await record(signer.database, 1);
    }
  };

  it('after a backup was restored', async () => {
    await node.sign();
    const backup = await copyOf(node);
    for (let n = 0; n < 3; n++) {
      await record(node.database, 10);
      await node.sign();
    }
    const restored = new Node(backup, node.anchorFile);
    await expectRefused(/ahead of the database.* restored from a backup/, restored);
    // The newest database is the way out.
    expect(await node.sign()).toBe(40);
  });

  it('after a backup was restored that is only one checkpoint older', async () => {
    await node.sign();
    const backup = await copyOf(node);
    await record(node.database, 10);
    await node.sign();
    const restored = new Node(backup, node.anchorFile);
    await expectRefused(/had 20 entries when it was anchored, and now has 1\d/, restored);
  });

  it('after a backup was restored and has grown beyond the anchor with other events', async () => {
    await node.sign();
    const backup = await copyOf(node);
    await record(node.database, 10);
    await node.sign();
    await record(backup, 25, '/other/');
    await expectRefused(/does not continue the 20 entries that were anchored/, new Node(backup, node.anchorFile));
  });

  it('after a backup was restored from before the first checkpoint', async () => {
    const backup = await copyOf(node);
    await node.sign();
    await expectRefused(/has never signed a checkpoint, but the anchor .* has/, new Node(backup, node.anchorFile));
  });

  it('of the log of heads after a backup was restored, also if the log has grown differently', async () => {
    const { epoch } = await node.checkpoints.sign(organizationId);
    const append = ({ database, heads }: Node, size: number) =>
      sqlOf(database, async (pool) => {
        const client = await pool.connect();
        await client.query('INSERT INTO audit_heads (epoch) VALUES (1) ON CONFLICT DO NOTHING');
        await heads.append(client, epoch, new Map([[toUuid(organizationId), { size, root: new Uint8Array(32) }]]));
        client.release();
      });
    const backup = await copyOf(node);
    await append(node, 1);
    expect((await node.checkpoints.signHeads()).checkpoint).toMatchObject({ size: 1 });
    const restored = new Node(backup, node.anchorFile);
    await expect(restored.checkpoints.signHeads()).rejects.toThrow(/had 1 entries when it was anchored, and now has 0/);
    await append(restored, 2);
    await expect(restored.checkpoints.signHeads()).rejects.toThrow(
      /does not continue the 1 entries that were anchored/,
    );
    await append(node, 3);
    expect((await node.checkpoints.signHeads()).checkpoint).toMatchObject({ size: 2 });
  });

  it('after a failover to a server that lags, without a restart', async () => {
    await node.sign();
    const lagging = await copyOf(node);
    for (let n = 0; n < 2; n++) {
      await record(node.database, 10);
      await node.sign();
    }
    const newest = node.database;
    await node.failOverTo(lagging);
    await expectRefused(/ahead of the database/);
    await node.failOverTo(newest);
    expect(await node.sign()).toBe(30);
  });

  it('with a fresh volume', async () => {
    await node.sign();
    await rename(node.anchorFile, `${node.anchorFile}.kept`);
    await expectRefused(/anchor .* is missing: mount the volume that has it, or set ANCHOR_FILE/);
    await rename(`${node.anchorFile}.kept`, node.anchorFile);
    expect(await node.sign()).toBe(12);
  });

  it('with the volume of another deployment', async () => {
    await node.sign();
    const own = organizationId;
    const foreign = await createDatabase();
    databases.push(foreign);
    organizationId = await sqlOf(foreign, (pool) => newOrganization(pool));
    await record(foreign, 10);
    const other = new Node(foreign, join(directory, 'foreign'));
    await other.sign();
    organizationId = own;
    await copyFile(other.anchorFile, node.anchorFile);
    await expectRefused(/belongs to another deployment or epoch: mount the right volume/);
  });

  it('by a second node with an older copy of the anchor', async () => {
    await node.sign();
    await copyFile(node.anchorFile, join(directory, 'older'));
    const second = new Node(node.database, join(directory, 'older'));
    await record(node.database, 1);
    await node.sign();
    await expectRefused(/is behind the database: it is an old copy, or damaged/, second);
    expect(await node.sign()).toBe(13);
  });

  it('with a damaged anchor', async () => {
    await node.sign();
    await record(node.database, 1);
    await node.sign();
    const text = await readFile(node.anchorFile, 'utf8');
    for (const damaged of [text.replace(/head (\S+) 10 /, 'head $1 11 '), text.replace(/group 1 .*/, 'group 1 x')]) {
      await writeFile(node.anchorFile, damaged);
      await expectRefused(/is behind the database: it is an old copy, or damaged/);
    }
    for (const damaged of ['', 'something else\n', text.slice(20)]) {
      await writeFile(node.anchorFile, damaged);
      await expectRefused(/cannot be used \(/);
    }
    await writeFile(node.anchorFile, text);
    expect(typeof (await node.sign())).toBe('number');
  });

  it('if the anchor cannot be written', async () => {
    const nowhere = new Node(node.database, join(directory, 'no', 'such', 'folder', 'anchor'));
    await expectRefused(/cannot be used \(ENOENT\): give the API the right to read and write it/, nowhere);
  });

  it('if the entries in the database were changed', async () => {
    await node.sign();
    await sqlOf(node.database, async (pool) => {
      const { rows } = await pool.query<{ frontier: Buffer }>('SELECT frontier FROM audit_log WHERE size = 10');
      const frontier = Buffer.from(rows[0]!.frontier);
      frontier[0]! ^= 1;
      await pool.query('UPDATE audit_log SET frontier = $1 WHERE size = 10', [frontier]);
    });
    expect(await node.sign()).toMatch(/does not continue the 10 entries that were anchored: it was changed/);
  });
});

describe('a crash', () => {
  it('between the anchor and the commit loses nothing: the next checkpoint continues', async () => {
    await node.sign();
    await record(node.database, 5);
    const before = await copyOf(node);
    await node.sign();
    // As the database would be if the commit had not happened: the same entries, but one group fewer.
    const again = new Node(before, node.anchorFile);
    expect(await again.sign()).toBe(15);
    await record(before, 5);
    expect(await again.sign()).toBe(20);
  });

  it('between the anchor and the commit may happen again and again', async () => {
    await node.sign();
    for (let n = 1; n <= 3; n++) {
      await record(node.database, 5);
      const before = await copyOf(node);
      await node.sign();
      node = new Node(before, node.anchorFile);
      expect(await node.sign()).toBe(10 + 5 * n);
      expect(await node.sign()).toBe(10 + 5 * n);
    }
  });

  it('after any byte of a group leaves an anchor that continues', async () => {
    await node.sign();
    const whole = await readFile(node.anchorFile);
    const lines = `head ${toUuid(organizationId)} 10 ${'0'.repeat(64)}\ngroup 2 ${'0'.repeat(64)}\n`;
    for (const rest of [lines.slice(0, 1), lines.slice(0, 60), lines.slice(0, -1), '\0'.repeat(50), lines]) {
      await writeFile(node.anchorFile, whole);
      await appendFile(node.anchorFile, rest);
      expect(await node.sign()).toBe(10);
    }
    await record(node.database, 1);
    expect(await node.sign()).toBe(11);
    expect((await readFile(node.anchorFile, 'utf8')).endsWith('\n')).toBe(true);
    expect(await new Node(node.database, node.anchorFile).sign()).toBe(11);
  });

  it('before the first commit leaves an anchor without heads, which is replaced', async () => {
    const before = await copyOf(node);
    await node.sign();
    const first = (await readFile(node.anchorFile, 'utf8')).split('\n').slice(0, 2).join('\n');
    expect(first).toMatch(/^keyledger-anchor 1 [\da-f]{32} 1\ngroup 0 [\da-f]{64}$/);
    await writeFile(node.anchorFile, `${first}\n`);
    expect(await new Node(before, node.anchorFile).sign()).toBe(10);
  });

  it.each(['INSERT', 'UPDATE'])(
    'at the commit of the first %s of an epoch never stops the checkpoints',
    async (change) => {
      const { database } = node;
      await sqlOf(database, (sql) =>
        sql.query(
          `CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'crashed'; END $$;
         CREATE CONSTRAINT TRIGGER crash AFTER ${change} ON audit_epoch DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION crash()`,
        ),
      );
      expect(await node.sign()).toBe('another error: P0001');
      await sqlOf(database, (sql) => sql.query('DROP FUNCTION crash CASCADE'));
      expect(await new Node(database, node.anchorFile).sign()).toBe(10);
    },
  );

  it('that left a file beside the anchor stops no checkpoint, and a symbolic link there is not followed', async () => {
    const target = join(directory, 'precious');
    await writeFile(target, 'precious');
    await symlink(target, `${node.anchorFile}.new`);
    expect(await node.sign()).toBe(10);
    expect(await readFile(target, 'utf8')).toBe('precious');
  });

  it('that cuts the anchor off at any place never lets an older head be signed', async () => {
    await node.sign();
    await record(node.database, 5);
    await node.sign();
    const { length } = await readFile(node.anchorFile);
    for (let size = length - 1; size > 0; size -= 7) {
      await truncate(node.anchorFile, size);
      expect(await node.sign()).toEqual(expect.any(String));
    }
  });
});

describe('a new epoch', () => {
  const begin = async (database: TestDatabase, anchorFile: string) => {
    const { config } = node;
    const clock = new DatabaseClock();
    const client = new pg.Client({ connectionString: database.apiUrl });
    await client.connect();
    await clock.read(client);
    const events = new Events(clock, new PersonalData(config), config);
    const begun = await beginEpoch(client, events, anchorFile);
    await client.end();
    return begun;
  };
  const ingest = (database: TestDatabase) =>
    sqlOf(database, async (pool) => {
      await newIngester(pool).ingest(SHARD_GROUPS.flat());
    });

  it('has a new origin and key, and signs only once the log has the entry with the last anchor', async () => {
    const [vkey] = await node.checkpoints.vkeys(organizationId);
    const backup = await copyOf(node);
    await record(node.database, 10);
    const lost = (await node.checkpoints.sign(organizationId)).checkpoint;
    await record(node.database, 1);
    await node.sign();
    await record(node.database, 1);
    await node.sign();
    const restored = new Node(backup, node.anchorFile);
    expect(await restored.sign()).toMatch(/ahead of the database/);
    const begun = await begin(backup, node.anchorFile);
    expect(begun).toEqual({ number: 2, logs: 1, committed: 1, earlierAnchor: `${node.anchorFile}.before-epoch-2` });
    expect(await restored.sign()).toMatch(/entry with which epoch 2 begins is not in the audit log yet/);
    await ingest(backup);
    expect(await restored.sign()).toBe(11);
    const vkeys = await restored.checkpoints.vkeys(organizationId);
    expect(vkeys).toHaveLength(2);
    expect(vkeys[1]).toBe(vkey);
    expect(parseVkey(vkeys[0]!).name).not.toBe(lost.origin);
    const last = (await sqlOf(backup, (pool) => storedEvents(pool, organizationId))).at(-1)!;
    expect(last).toMatchObject({
      type: 'audit_log.epoch_started',
      data: { epoch: 2, earlier: { epoch: 1, size: 22 } },
    });
    // The old database cannot go on beside it.
    expect(await node.sign()).toMatch(/belongs to another deployment or epoch/);
  });

  it('is possible without the anchor, and then names no last head', async () => {
    await node.sign();
    await rm(node.anchorFile);
    expect(await begin(node.database, node.anchorFile)).toMatchObject({ number: 2, committed: 0, earlierAnchor: null });
    await ingest(node.database);
    expect(await node.sign()).toBe(11);
  });

  it('is told to every log, also if there are thousands', async () => {
    await node.sign();
    const logs = 2_100;
    await sqlOf(node.database, async (pool) => {
      await pool.query(
        `WITH created AS (
           INSERT INTO organization (id, name, personal, created_at, updated_at, version)
           SELECT gen_random_uuid(), 'Test', false, now(), now(), 1 FROM generate_series(1, $1) RETURNING id
         ) INSERT INTO audit_log (organization_id, size) SELECT id, 0 FROM created`,
        [logs],
      );
    });
    expect(await begin(node.database, node.anchorFile)).toMatchObject({ logs: logs + 1, committed: 1 });
    await ingest(node.database);
    const { rows } = await sqlOf(node.database, (pool) =>
      pool.query<{ size: string; count: number }>(
        'SELECT size, count(*)::int AS count FROM audit_log GROUP BY size ORDER BY size',
      ),
    );
    expect(rows).toEqual([
      { size: '1', count: logs },
      { size: '11', count: 1 },
    ]);
  });

  it('that was interrupted before the new anchor was in its place is begun again as if for the first time', async () => {
    await node.sign();
    const earlierAnchor = `${node.anchorFile}.before-epoch-2`;
    await link(node.anchorFile, earlierAnchor);
    expect(await begin(node.database, node.anchorFile)).toMatchObject({ number: 2, committed: 1, earlierAnchor });
  });

  it('that was interrupted can be begun again, and still names the last head', async () => {
    await node.sign();
    const before = await copyOf(node);
    await begin(node.database, node.anchorFile);
    const again = new Node(before, node.anchorFile);
    expect(await again.sign()).toMatch(/belongs to another deployment or epoch/);
    expect(await begin(before, node.anchorFile)).toMatchObject({ number: 3, committed: 1 });
    await ingest(before);
    expect(await again.sign()).toBe(11);
  });
});
