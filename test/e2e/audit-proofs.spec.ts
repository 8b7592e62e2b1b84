import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ApiError } from '#libs/client/client.js';
import { toUuid } from '#libs/contract/ids.js';
import { openCheckpoint } from '#libs/tlog/checkpoint.js';
import { decodeEntries } from '#libs/tlog/entries.js';
import { parseVkey } from '#libs/tlog/note.js';
import { verifyConsistency, verifyInclusion } from '#libs/tlog/proofs.js';
import { verifyReceipt } from '#libs/tlog/receipt.js';
import { formatTilePath, tileWidth, type Tile } from '#libs/tlog/tiles.js';
import { WholeLog } from '#libs/tlog/whole-log.js';
import { fillAuditLog, storedEntries } from '../support/audit-log.js';
import { hasGo, openRecipe, type Recipe } from '../support/audit-recipe.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { eventually } from '../support/eventually.js';
import { startLyingServer, type LyingServer } from '../support/lying-server.js';
import { leafHashOf, rootsOf, treeHash } from '../support/reference-tree.js';

/** Crosses the boundary of a tile of level 1, as the example of C2SP `tlog-tiles` does. */
const SIZE = 70_000;

let deployment: Deployment;
let ada: Account;
let team: string;
/** The hashes of each level, computed from the entries by the definition. */
let levels: Uint8Array[][];
let leaves: Uint8Array[];
/** The hash of the tree of a size. */
let root: (size: number) => Uint8Array;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  team = (await ada.client.organizations.create({ body: { name: 'Team' } })).id;
  const { id } = await ada.client.apiKeys.create({
    body: { name: 'Key', organization_id: team, scopes: ['triggers:read'] },
  });
  await allIngested(deployment);
  await fillAuditLog(deployment.sql, SIZE, { organizationId: team, apiKeyId: id, data: {}, path: '/v1/' });
  leaves = (await storedEntries(deployment.sql, team)).map(({ entry }) => leafHashOf(entry));
  root = rootsOf(leaves);
  levels = [leaves];
  while (levels.at(-1)!.length >= 256) {
    const below = levels.at(-1)!;
    levels.push(
      Array.from({ length: Math.floor(below.length / 256) }, (_, n) => treeHash(below.slice(n * 256, (n + 1) * 256))),
    );
  }
}, 120_000);

afterAll(() => deployment.stop());

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const hashOf = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));

async function download(tile: Tile): Promise<Buffer> {
  const response = await ada.client.audit.tile({ params: { id: team, tile: formatTilePath(tile) } });
  return Buffer.from(await response.arrayBuffer());
}

const code = async (call: Promise<unknown>) =>
  call.then(
    () => 'done',
    (error: unknown) => (error as ApiError).problem.code,
  );

describe('a tile', () => {
  it.each<[string, Tile]>([
    ['the first leaves', { level: 0, index: 0, width: 256 }],
    ['a full tile', { level: 0, index: 200, width: 256 }],
    ['the last leaves, which are not in a bundle yet', { level: 0, index: 273, width: 112 }],
    ['a part of the last leaves', { level: 0, index: 273, width: 5 }],
    ['a part of a tile that is full by now', { level: 0, index: 7, width: 100 }],
    ['roots of bundles', { level: 1, index: 0, width: 256 }],
    ['the last roots of bundles', { level: 1, index: 1, width: 17 }],
    ['the one complete subtree of level 2', { level: 2, index: 0, width: 1 }],
  ])('has the hashes of %s', async (_, tile) => {
    const expected = levels[tile.level as number]!.slice(tile.index * 256, tile.index * 256 + tile.width);
    expect(expected).toHaveLength(tile.width);
    expect(hex(await download(tile))).toBe(expected.map(hex).join(''));
  });

  it.each<[string, Tile]>([
    ['a full tile that is not full yet', { level: 0, index: 273, width: 256 }],
    ['more hashes than there are', { level: 0, index: 273, width: 113 }],
    ['a tile after the end', { level: 0, index: 274, width: 1 }],
    ['roots of bundles that are not full yet', { level: 1, index: 1, width: 18 }],
    ['a level that the tree does not have', { level: 3, index: 0, width: 1 }],
    ['the highest level', { level: 63, index: 0, width: 1 }],
    ['an index beyond all trees', { level: 0, index: 999_999_999_999_999, width: 1 }],
    ['entries that are not there yet', { level: 'entries', index: 273, width: 113 }],
  ])('is not there for %s', async (_, tile) => {
    expect(await code(download(tile))).toBe('not_found');
  });

  it.each(['0/0', '0/000.p/256', '00/000', '64/000', 'entries/001/002', '0/000/', 'data/000', '0/../000'])(
    'is rejected under the wrong path %s',
    async (tile) => {
      expect(['invalid_request', 'not_found']).toContain(
        await code(ada.client.audit.tile({ params: { id: team, tile } })),
      );
    },
  );

  it('may be kept by the browser of one user and by no other cache, and an error may not be kept', async () => {
    const get = (path: string) =>
      fetch(`${deployment.url}/tlog/${team}/tile/${path}`, { headers: { authorization: `Bearer ${ada.accessToken}` } });
    for (const path of ['0/000', '0/000.p/7', '1/001.p/17']) {
      const { headers } = await get(path);
      expect(headers.get('cache-control')).toBe('private, max-age=31536000, immutable');
      expect(headers.get('content-type')).toBe('application/octet-stream');
    }
    expect((await get('entries/000')).headers.get('cache-control')).toBe('private, max-age=86400, immutable');
    expect((await get('0/274')).headers.get('cache-control')).toBe('no-store');
    expect((await fetch(`${deployment.url}/tlog/${team}/tile/0/000`)).status).toBe(401);
  });
});

describe('entry bundles', () => {
  it('together are the whole log', async () => {
    const hashes = { leafHash: leafHashOf, nodeHash: (left: Uint8Array, right: Uint8Array) => treeHash([left, right]) };
    const log = new WholeLog([{ size: SIZE, root: root(SIZE) }], hashes);
    for (let index = 0; log.next < SIZE; index++) {
      const width = tileWidth({ level: 'entries', index }, SIZE);
      log.addBundle(await download({ level: 'entries', index, width }));
    }
    log.end();
    expect(log.next).toBe(SIZE);
  }, 60_000);

  it('come compressed, and are the same, to a client that accepts zstd, if they are full', async () => {
    const get = async (path: string, accepted: string) => {
      const headers = { authorization: `Bearer ${ada.accessToken}`, 'accept-encoding': accepted };
      const response = await fetch(`${deployment.url}/tlog/${team}/tile/entries/${path}`, { headers });
      const { headers: sent, status } = response;
      // `fetch` decompresses.
      const bytes = Buffer.from(await response.arrayBuffer());
      return { status, coding: sent.get('content-encoding'), length: Number(sent.get('content-length')), bytes };
    };
    const plain = await get('200', 'identity');
    expect(plain).toMatchObject({ coding: null, length: plain.bytes.length });
    for (const accepted of ['zstd', 'gzip, zstd;q=0.5', 'br,ZSTD ; q=1']) {
      const { length, ...compressed } = await get('200', accepted);
      expect(compressed).toEqual({ status: 200, coding: 'zstd', bytes: plain.bytes });
      expect(length).toBeLessThan(plain.length / 4);
    }
    for (const accepted of ['gzip', 'zstd;q=0', '*', 'zstdx', 'x;zstd', 'zstd;level=1']) {
      expect(await get('200', accepted)).toEqual({ ...plain, status: 200 });
    }
    expect(await get('273.p/112', 'zstd')).toMatchObject({ status: 200, coding: null });
    expect(await get('200.p/100', 'zstd')).toMatchObject({ status: 200, coding: null });
  });

  it('are the same bytes before and after they are sealed', async () => {
    const part = { level: 'entries', index: 273, width: 112 } as const;
    const before = await download(part);
    expect(decodeEntries(before)).toHaveLength(112);
    const other = (await ada.client.organizations.create({ body: { name: 'Other' } })).id;
    await allIngested(deployment);
    const path = { id: other, tile: 'entries/000.p/1' };
    const read = async () => Buffer.from(await (await ada.client.audit.tile({ params: path })).arrayBuffer());
    const segment = await read();
    await fillAuditLog(deployment.sql, 300, {
      organizationId: other,
      apiKeyId: 'key_01h455vb4pex5vsknk084sn02q',
      data: {},
      path: '/',
    });
    expect(hex(await read())).toBe(hex(segment));
  });
});

describe('an inclusion proof', () => {
  it.each([0, 1, 255, 256, 65_535, 65_536, 69_887, 69_888, SIZE - 1])('of leaf %s leads to the root', async (index) => {
    const proven = await ada.client.audit.proveEvent({
      params: { leaf_index: index },
      query: { organization_id: team },
    });
    expect(proven).toMatchObject({ leaf_index: index, size: SIZE, root: Buffer.from(root(SIZE)).toString('base64') });
    expect(hex(hashOf(proven.leaf_hash))).toBe(hex(leaves[index]!));
    const tree = { size: SIZE, root: root(SIZE) };
    verifyInclusion({ index, hash: leaves[index]! }, tree, proven.proof.map(hashOf));
  });

  it.each([1, 255, 256, 257, 65_536, 65_537, 69_999])('in the tree of %s entries leads to its root', async (size) => {
    for (const index of [0, size >> 1, size - 1]) {
      const query = { organization_id: team, size };
      const proven = await ada.client.audit.proveEvent({ params: { leaf_index: index }, query });
      expect(proven.size).toBe(size);
      verifyInclusion({ index, hash: leaves[index]! }, { size, root: root(size) }, proven.proof.map(hashOf));
    }
  });

  it('is not there for a leaf or a size that the log does not have', async () => {
    const prove = (index: number, size?: number) =>
      code(ada.client.audit.proveEvent({ params: { leaf_index: index }, query: { organization_id: team, size } }));
    expect(await prove(SIZE)).toBe('not_found');
    expect(await prove(5, 5)).toBe('not_found');
    expect(await prove(5, SIZE + 1)).toBe('invalid_request');
  });

  it('names the events that cannot be read if a part of the tree is missing', async () => {
    const other = (await ada.client.organizations.create({ body: { name: 'Damaged' } })).id;
    await allIngested(deployment);
    const apiKeyId = 'key_01h455vb4pex5vsknk084sn02q';
    await fillAuditLog(deployment.sql, 1024, { organizationId: other, apiKeyId, data: {}, path: '/' });
    await deployment.sql.query('ALTER TABLE audit_bundle DISABLE TRIGGER ALL');
    await deployment.sql.query('DELETE FROM audit_bundle WHERE organization_id = $1 AND index = 2', [toUuid(other)]);
    const damagedProof = ada.client.audit.proveEvent({ params: { leaf_index: 0 }, query: { organization_id: other } });
    await expect(damagedProof).rejects.toThrow(`The events 512 to 767 of the audit log of ${other} cannot be read`);
  });
});

describe('a consistency proof', () => {
  it.each([
    [0, SIZE],
    [1, SIZE],
    [256, SIZE],
    [255, 257],
    [65_536, SIZE],
    [65_535, 65_537],
    [69_888, SIZE],
    [69_990, SIZE],
    [SIZE, SIZE],
    [0, 0],
  ])('from %s to %s leads to both roots', async (from, to) => {
    const proven = await ada.client.audit.proveConsistency({ query: { organization_id: team, from, to } });
    const trees = [from, to].map((size) => ({ size, root: root(size) }));
    expect([proven.from_root, proven.to_root].map((root) => hex(hashOf(root)))).toEqual(
      trees.map(({ root }) => hex(root)),
    );
    verifyConsistency(trees[0]!, trees[1]!, proven.proof.map(hashOf));
  });

  it('is not made for sizes that the log does not have, or in the wrong order', async () => {
    const prove = (from: number, to?: number) =>
      code(ada.client.audit.proveConsistency({ query: { organization_id: team, from, to } }));
    expect(await prove(SIZE + 1)).toBe('invalid_request');
    expect(await prove(0, SIZE + 1)).toBe('invalid_request');
    expect(await prove(6, 5)).toBe('invalid_request');
  });
});

describe('a checkpoint', () => {
  const get = (path: string) =>
    fetch(`${deployment.url}${path}`, { headers: { authorization: `Bearer ${ada.accessToken}` } });
  const keys = async () =>
    (await (await get(`/tlog/${team}/vkey`)).text())
      .trim()
      .split('\n')
      .map((line) => parseVkey(line));

  it('is a text that no cache keeps, and has the root of the log', async () => {
    const response = await get(`/tlog/${team}/checkpoint`);
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(response.headers.get('cache-control')).toBe('no-store');
    const checkpoint = openCheckpoint(await response.text(), await keys());
    expect(checkpoint).toEqual({
      origin: expect.stringMatching(new RegExp(`^keyledger\\.test/[\\da-f]{16}/${team}$`)),
      size: SIZE,
      root: root(SIZE),
    });
  });

  it('is in the receipt of an event, which proves its exact bytes', async () => {
    const path = `/api/v1/audit/events/69999/receipt?organization_id=${team}`;
    const { entry, checkpoint } = verifyReceipt(await (await get(path)).text(), await keys());
    expect(hex(leafHashOf(entry))).toBe(hex(leaves.at(-1)!));
    expect(checkpoint.size).toBe(SIZE);
    expect((await get(path.replace('69999', String(SIZE)))).status).toBe(404);
  });

  it('is not signed without the anchor, and everything else goes on', async () => {
    await rename(deployment.database.anchorFile, `${deployment.database.anchorFile}.kept`);
    try {
      for (const path of [`/tlog/${team}/checkpoint`, `/api/v1/audit/events/0/receipt?organization_id=${team}`]) {
        const response = await get(path);
        expect(response.status).toBe(503);
        expect(await response.json()).toMatchObject({
          code: 'checkpoint_unavailable',
          detail: expect.stringContaining('`keyledger audit new-epoch`'),
        });
      }
      expect((await get(`/tlog/${team}/vkey`)).status).toBe(200);
      expect((await get(`/tlog/${team}/tile/1/000`)).status).toBe(200);
      const { id } = await ada.client.projects.create({ body: { name: 'Recorded', organization_id: team } });
      await allIngested(deployment);
      const { data } = await ada.client.audit.listEvents({ query: { organization_id: team, project_id: id } });
      expect(data.map(({ event }) => event.type)).toEqual(['project.created']);
    } finally {
      await rename(`${deployment.database.anchorFile}.kept`, deployment.database.anchorFile);
    }
    expect((await get(`/tlog/${team}/checkpoint`)).status).toBe(200);
  });

  it('once there is one, the head of every log is anchored within a moment', async () => {
    const other = await ada.client.organizations.create({ body: { name: 'Never asked for' } });
    const isAnchored = await eventually(
      async () => (await readFile(deployment.database.anchorFile, 'utf8')).includes(`head ${toUuid(other.id)} `),
      (found) => found,
    );
    expect(isAnchored).toBe(true);
  });
});

/** Last in the file: the requests of an API key are events, too, so the log grows. */
(hasGo() ? describe : describe.skip)('the recipe of docs/audit.md with other tools', () => {
  let recipe: Recipe;
  let liar: LyingServer;
  let env: Record<string, string>;

  beforeAll(async () => {
    recipe = await openRecipe();
    liar = await startLyingServer(deployment.url);
    const vkey = await (await ada.client.audit.vkeys({ params: { id: team } })).text();
    const { key } = await ada.client.apiKeys.create({
      body: { name: 'Auditor', organization_id: team, scopes: ['audit:read'] },
    });
    env = { BASE: liar.url, ORG: team, VKEY: vkey.trim(), KEYLEDGER_API_KEY: key, AUTH: `X-API-Key: ${key}` };
    const { code, stderr } = await recipe.run('go build', {});
    if (code !== 0) throw new Error(stderr);
  }, 120_000);

  afterAll(async () => {
    await liar?.close();
    await recipe?.close();
  });

  const verify = () => recipe.run('> checkpoint\n', env);

  it('verifies a log across a boundary of level 2, and later that it continues', async () => {
    liar.lie = (_, said) => said;
    const first = await verify();
    expect(first).toMatchObject({ code: 0, stderr: expect.stringMatching(/: all 70\d{3} entries are as they were/) });
    const checkpoint = await readFile(join(recipe.folder, 'checkpoint'), 'utf8');
    expect(checkpoint).toMatch(new RegExp(`/${team}\\n70\\d{3}\\n`));
    await ada.client.projects.create({ body: { name: 'One more event', organization_id: team } });
    await allIngested(deployment);
    liar.heard.delete(`/tlog/${team}/checkpoint`);
    const { code, stderr } = await recipe.run('checkpoint.new', env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('are as they were signed') });
    expect(await readFile(join(recipe.folder, 'checkpoint.new'), 'utf8')).not.toBe(checkpoint);
  }, 120_000);

  it.each([
    ['an entry', 'tile/entries/200', 'entry 51327 does not have its leaf hash'],
    ['a leaf hash', 'tile/0/200', 'entry 51328 does not have its leaf hash'],
    ['a root of a bundle', 'tile/1/000', 'tile/1/000 does not follow from the entries'],
    ['a node of level 2', 'tile/2/000.p/1', 'tile/2/000.p/1 does not follow from the entries'],
    ['the checkpoint', 'checkpoint', 'NOT VERIFIED'],
    ['an inclusion proof', '/proof?', 'the inclusion proof of entry'],
    ['a consistency proof', '/consistency?', 'does not continue its first'],
  ])(
    'rejects a log of which the server changes %s',
    async (_, path, reason) => {
      liar.lie = (asked, said) => {
        if (!asked.includes(path)) return said;
        const body = Buffer.from(said.body);
        // A character of a hash in JSON, or the last bit in the middle of a tile or an entry.
        const isJson = path.startsWith('/');
        const at = isJson
          ? body.indexOf('"proof":["') + 20
          : path.includes('entries')
            ? body.indexOf('/v1/51327')
            : body.length >> 1;
        body[at] = isJson ? (body[at] === 65 ? 66 : 65) : body[at]! ^ 1;
        return { ...said, body };
      };
      const { code, stderr } = await recipe.run('checkpoint.new', env);
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(reason) });
    },
    60_000,
  );

  it('rejects a log under another key', async () => {
    liar.lie = (_, said) => said;
    const other = (await ada.client.organizations.create({ body: { name: 'Elsewhere' } })).id;
    const foreign = (await (await ada.client.audit.vkeys({ params: { id: other } })).text()).trim();
    expect(await recipe.run('> checkpoint\n', { ...env, VKEY: foreign })).toMatchObject({ code: 1 });
  });
});

describe('the recipe of docs/audit.md with openssl', () => {
  it('verifies a receipt and prints its event, and rejects it after a change of each part', async () => {
    const recipe = await openRecipe();
    const vkey = (await (await ada.client.audit.vkeys({ params: { id: team } })).text()).trim();
    const AUTH = `Authorization: Bearer ${ada.accessToken}`;
    const liar = await startLyingServer(deployment.url);
    const env = { BASE: liar.url, ORG: team, VKEY: vkey, AUTH };
    try {
      const { code, stdout, stderr } = await recipe.run('verify-receipt.sh', env);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(hex(leafHashOf(Buffer.from(stdout)))).toBe(hex(leaves[41]!));
      const lines = (await readFile(join(recipe.folder, 'event-41.tlog-proof'), 'utf8')).split('\n');
      /** The blank line before the checkpoint. */
      const end = lines.indexOf('');
      const changed = (line: string) => {
        const at = line.length >> 1;
        return line.slice(0, at) + (line[at] === 'A' ? 'B' : 'A') + line.slice(at + 1);
      };
      const changes = [0, 1, 2, 3, end - 1, end + 1, end + 2, end + 3, end + 5].map((n) =>
        lines.with(n, changed(lines[n]!)),
      );
      for (const lie of [...changes, lines.toSpliced(3, 1), lines.toSpliced(3, 0, lines[3]!)]) {
        liar.lie = (_, said) => ({ ...said, body: Buffer.from(lie.join('\n')) });
        const result = await recipe.run('verify-receipt.sh', env);
        expect({ lie, ...result }).toMatchObject({ stdout: '', code: 1 });
      }
    } finally {
      await liar.close();
      await recipe.close();
    }
  }, 60_000);
});
