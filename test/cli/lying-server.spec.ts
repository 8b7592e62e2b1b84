import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { signCheckpoint } from '#libs/tlog/checkpoint.js';
import { decodeEntries, encodeEntries } from '#libs/tlog/entries.js';
import { formatVkey } from '#libs/tlog/note.js';
import { fillAuditLog } from '../support/audit-log.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { startLyingServer, type LyingServer, type Said } from '../support/lying-server.js';
import { noteSigner } from '../support/note-signer.js';
import { leafHashOf, treeHash } from '../support/reference-tree.js';
import { Shell } from './command.js';
import { changedBytes, changedEntries, changedText, otherAt } from './lies.js';

/** Two full bundles, and a part of one. */
const SIZE = 2 * 256 + 40;
const BUNDLES = ['tile/entries/000', 'tile/entries/001', 'tile/entries/002.p/40'];
const LEAVES = ['tile/0/000', 'tile/0/001', 'tile/0/002.p/40'];
const ROOTS = 'tile/1/000.p/2';
const FOREIGN = Buffer.from(
  '{"specversion":"1.0","type":"api_key.used","data":{"organization_id":"of somebody else"}}',
);

let deployment: Deployment;
let ada: Account;
let team: string;
let other: string;
let shell: Shell;
let liar: LyingServer;
let apiKey: string;
let vkey: string;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  team = await newLog('Team');
  other = await newLog('Other');
  shell = await Shell.open();
  liar = await startLyingServer(deployment.url);
  // The liar asks the API once for each path, so it needs no API from here on.
  await Promise.all(
    [team, other].flatMap((organization) =>
      ['checkpoint', 'vkey', ...BUNDLES, ...LEAVES, ROOTS].map((path) =>
        fetch(`${liar.url}/tlog/${organization}/${path}`, { headers: { authorization: `Bearer ${ada.accessToken}` } }),
      ),
    ),
  );
  vkey = truth('vkey').toString().trim();
  const { key } = await ada.client.apiKeys.create({
    body: { name: 'Auditor', organization_id: team, scopes: ['audit:read'] },
  });
  apiKey = key;
}, 60_000);

afterAll(async () => {
  await liar?.close();
  await shell?.close();
  await deployment?.stop();
});

beforeEach(() => {
  liar.lie = (_, said) => said;
});

async function newLog(name: string): Promise<string> {
  const { id } = await ada.client.organizations.create({ body: { name } });
  await allIngested(deployment);
  const uses = { organizationId: id, apiKeyId: 'key_01h455vb4pex5vsknk084sn02q', data: {}, path: `/${name}/` };
  await fillAuditLog(deployment.sql, SIZE, uses);
  return id;
}

/** What the API said. */
function truth(path: string, organization = team): Buffer {
  return liar.heard.get(`/tlog/${organization}/${path}`)!.body;
}

interface Verified {
  readonly code: number | string | null;
  readonly stderr: string;
  readonly result?: string;
  readonly organization_id?: string;
  readonly leaf_index?: number;
  readonly last_leaf_index?: number;
  readonly detail?: string;
}

async function verify(...args: string[]): Promise<Verified> {
  const env = { KEYLEDGER_URL: liar.url, KEYLEDGER_API_KEY: apiKey };
  const { code, stdout, stderr } = await shell.run(
    ['audit', 'verify', '--json', ...(args[0]?.endsWith('.jsonl') ? [] : ['--organization', team]), ...args],
    { env },
  );
  return { code, stderr, ...(stdout ? (JSON.parse(stdout) as object) : {}) };
}

/** Other contents of some paths. */
type Lies = Readonly<Record<string, Buffer>>;

function tell(lies: Lies): void {
  liar.lie = (path, said) => {
    const body = lies[path.slice(`/tlog/${team}/`.length)];
    return body ? { ...said, status: 200, body } : said;
  };
}

const isFound = ({ code }: Verified) => code === 1 || code === 2;
const isCaught = (result: Verified) => isFound(result) && result.organization_id === team;

/** Whether the change is in the leaves that are named, and some are. */
const isNamed = ({ leaf_index: from, last_leaf_index: to = from }: Verified, leaf: number) =>
  from !== undefined && from <= leaf && leaf <= to!;

/** @returns the lies that the command believes, with what it says of each */
async function believed(lies: Iterable<readonly [name: string, lies: Lies]>, ...args: string[]) {
  const found: unknown[] = [];
  for (const [name, own] of lies) {
    tell(own);
    const result = await verify(...args);
    if (!isCaught(result)) found.push({ name, ...result });
  }
  return found;
}

describe('keyledger audit verify believes no server that changes', () => {
  it('nothing: then it verifies', async () => {
    expect(await verify()).toMatchObject({ code: 0, size: SIZE, organization_id: team });
    expect(await verify('--vkey', vkey)).toMatchObject({ code: 0, key_from: 'option' });
  });

  it('any line or character of the checkpoint', async () => {
    const text = truth('checkpoint').toString();
    const [, size, root] = text.split('\n') as [string, string, string];
    const changes = [
      ...changedText(text),
      { name: 'a larger size', value: text.replace(`\n${size}\n`, `\n${SIZE + 1}\n`) },
      { name: 'a smaller size', value: text.replace(`\n${size}\n`, `\n${SIZE - 1}\n`) },
      { name: 'the size of an empty log', value: text.replace(`\n${size}\n`, '\n0\n') },
      { name: 'the size of a huge log', value: text.replace(`\n${size}\n`, '\n9007199254740991\n') },
      {
        name: 'the root of another log',
        value: text.replace(root, truth('checkpoint', other).toString().split('\n')[2]!),
      },
      { name: 'the checkpoint of another log', value: truth('checkpoint', other).toString() },
      { name: 'another signature', value: text.replace(/\n\n[^]*/, truth('checkpoint', other).toString().slice(-200)) },
      { name: 'its signature alone', value: text.slice(text.indexOf('\n\n') + 2) },
      { name: 'no signature', value: text.slice(0, text.indexOf('\n\n') + 2) },
    ];
    // A note ends with a line break. One more before it is in no line that was signed.
    for (const args of [[], ['--vkey', vkey]]) {
      const lies = changes.map(({ name, value }) => [name, { checkpoint: Buffer.from(value) }] as const);
      expect(await believed(lies, ...args)).toEqual([]);
    }
  });

  it('the key, in any way but a space around it', async () => {
    const changes = [...changedText(truth('vkey').toString())].filter(({ value }) => value.trim() !== vkey);
    const lies = changes.map(({ name, value }) => [name, { vkey: Buffer.from(value) }] as const);
    expect(await believed(lies)).toEqual([]);
    expect(await believed([['that of another log', { vkey: truth('vkey', other) }]])).toEqual([]);
  });

  it('any byte of a bundle, its length or its order, and names the leaf', async () => {
    for (const [n, path] of BUNDLES.entries()) {
      const first = n * 256;
      const changes = [
        ...[...changedBytes(truth(path))].map((change) => ({ ...change, first: null })),
        ...changedEntries(truth(path), FOREIGN),
        ...BUNDLES.filter((bundle) => bundle !== path).map((bundle) => ({
          name: `${bundle} in its place`,
          value: truth(bundle),
          first: 0,
        })),
        { name: 'that of another log', value: truth(path, other), first: 0 },
      ];
      for (const { name, value, first: changed } of changes) {
        tell({ [path]: value });
        const result = await verify();
        const named = changed === null ? result.leaf_index !== undefined : isNamed(result, first + changed);
        const isOf = Math.floor((result.leaf_index ?? -1) / 256) === n;
        expect({ path, name, ...result, named, isOf }).toMatchObject({ code: 1, named: true, isOf: true });
      }
    }
  });

  it('two bundles that change places', async () => {
    tell({ [BUNDLES[0]!]: truth(BUNDLES[1]!), [BUNDLES[1]!]: truth(BUNDLES[0]!) });
    expect(await verify()).toMatchObject({ code: 1, leaf_index: 0 });
  });

  it('an entry and the hashes above it: then it names the bundle, or no leaf, but never a wrong one', async () => {
    // A full bundle, and one that is not.
    for (const n of [0, 2]) {
      const path = BUNDLES[n]!;
      const { value, first } = [...changedEntries(truth(path), FOREIGN)][0]!;
      for (const hashes of [LEAVES[n]!, ROOTS]) {
        for (const change of changedBytes(truth(hashes))) {
          tell({ [path]: value, [hashes]: change.value });
          const result = await verify();
          const isWrong = result.leaf_index !== undefined && !isNamed(result, n * 256 + first);
          expect({ path, hashes, change: change.name, ...result, isWrong }).toMatchObject({ code: 1, isWrong: false });
        }
      }
    }
  });

  it('what was pruned: then it verifies the rest alone, and says so', async () => {
    const retention = `/api/v1/organizations/${team}/audit-retention`;
    const claim = (minimum: unknown) => {
      liar.lie = (path, said) => {
        if (path !== retention) return said;
        return {
          ...said,
          body: Buffer.from(JSON.stringify({ ...JSON.parse(said.body.toString()), pruned_below: minimum })),
        };
      };
    };
    for (const minimum of [256, 512]) {
      claim(minimum);
      expect(await verify()).toMatchObject({ code: 2, result: 'incomplete', pruned_below: minimum, size: SIZE });
    }
    for (const minimum of [-256, 1, 100, SIZE, 768, 2 ** 52]) {
      claim(minimum);
      expect({ minimum, ...(await verify()) }).toMatchObject({ code: 1, organization_id: team });
    }
    for (const minimum of [0.5, 'many', {}, 2 ** 53]) {
      claim(minimum);
      const result = await verify();
      expect({ minimum, ...result, caught: isCaught(result) }).toMatchObject({ caught: true });
    }
  });

  it('the status, the form or the end of a response', async () => {
    const responses: Record<string, Said> = {
      'a failure': { status: 500, type: 'application/problem+json', body: Buffer.from('{"code":"internal_error"}') },
      'no such thing': { status: 404, type: 'text/html', body: Buffer.from('<h1>Not found</h1>') },
      'a page': { status: 200, type: 'text/html', body: Buffer.from('<!doctype html><h1>Welcome</h1>') },
      JSON: { status: 200, type: 'application/json', body: Buffer.from('{"data":[]}') },
      'no content': { status: 204, type: '', body: Buffer.alloc(0) },
      'more than there can be': { status: 200, type: '', body: Buffer.alloc(20_000_000) },
    };
    for (const path of ['checkpoint', 'vkey', ...BUNDLES]) {
      for (const [name, response] of Object.entries(responses)) {
        liar.lie = (asked, said) => (asked.endsWith(path) ? response : said);
        const result = await verify();
        expect({ path, name, ...result, caught: isCaught(result) }).toMatchObject({ caught: true });
      }
      liar.lie = (asked, said) => (asked.endsWith(path) ? Promise.reject(new Error('The line is cut')) : said);
      expect({ path, ...(await verify()) }).toMatchObject({ code: 2, organization_id: team });
    }
  });
});

describe('keyledger audit verify --state', () => {
  /** A log that is signed with a key of the liar's own, as an operator can who has the key of the deployment. */
  function signedLog(entries: readonly Uint8Array[]): Lies {
    const origin = vkey.split('+')[0]!;
    const signer = noteSigner(origin);
    const leaves = entries.map(leafHashOf);
    const checkpoint = signCheckpoint({ origin, size: entries.length, root: treeHash(leaves) }, [signer]);
    const lies: Record<string, Buffer> = {
      checkpoint: Buffer.from(checkpoint),
      vkey: Buffer.from(`${formatVkey(signer.key)}\n`),
    };
    for (let n = 0; n * 256 < entries.length; n++) {
      const own = entries.slice(n * 256, (n + 1) * 256);
      const path = `00${n}${own.length === 256 ? '' : `.p/${own.length}`}`;
      lies[`tile/entries/${path}`] = Buffer.from(encodeEntries(own));
      lies[`tile/0/${path}`] = Buffer.concat(own.map(leafHashOf));
    }
    const full = Math.floor(entries.length / 256);
    const roots = Array.from({ length: full }, (_, n) => treeHash(leaves.slice(n * 256, (n + 1) * 256)));
    lies[`tile/1/000.p/${full}`] = Buffer.concat(roots);
    return lies;
  }

  it('believes no log that is signed, but does not continue the one that it remembers', async () => {
    const entries = BUNDLES.flatMap((path) => decodeEntries(truth(path)));
    const more = [FOREIGN, FOREIGN];
    const state = join(shell.home, 'state');
    tell(signedLog(entries));
    expect(await verify('--state', state)).toMatchObject({ code: 0, size: SIZE });
    const kept = await readFile(state, 'utf8');
    const forks: Record<string, readonly Uint8Array[]> = {
      'with another entry': [...entries.with(300, FOREIGN), ...more],
      'with another first entry': entries.with(0, FOREIGN),
      'with another last entry': [...entries.slice(0, -1), FOREIGN, ...more],
      'with an entry less': entries.toSpliced(300, 1),
      'with an entry less and more after it': [...entries.toSpliced(300, 1), ...more],
      'with an entry more': entries.toSpliced(300, 0, FOREIGN),
      'with two entries exchanged': [...entries.with(3, entries[4]!).with(4, entries[3]!), ...more],
      'with bundles exchanged': [...entries.slice(256, 512), ...entries.slice(0, 256), ...entries.slice(512)],
      'cut off': entries.slice(0, -1),
      'cut off after a bundle': entries.slice(0, 512),
      'that is empty': [],
    };
    for (const [name, fork] of Object.entries(forks)) {
      tell(signedLog(fork));
      expect({ name, ...(await verify('--state', state)) }).toMatchObject({
        code: 1,
        result: 'tampered',
        organization_id: team,
      });
      expect(await readFile(state, 'utf8')).toBe(kept);
    }
    tell(signedLog([...entries, ...more]));
    expect(await verify('--state', state)).toMatchObject({ code: 0, continues: SIZE, size: SIZE + 2 });
  });

  it('believes no true log under another key than the one that it remembers', async () => {
    const state = join(shell.home, 'state-of-the-truth');
    expect(await verify('--state', state)).toMatchObject({ code: 0 });
    tell(signedLog(BUNDLES.flatMap((path) => decodeEntries(truth(path)))));
    expect(await verify('--state', state)).toMatchObject({ code: 1, organization_id: team });
  });
});

describe('keyledger audit verify FILE', () => {
  let path: string;
  let lines: string[];

  beforeAll(async () => {
    path = join(shell.home, 'audit.jsonl');
    liar.lie = (_, said) => said;
    const { code, stderr } = await shell.run(
      ['audit', 'export', '--proofs', '--organization', team, '--output', path],
      {
        env: { KEYLEDGER_URL: liar.url, KEYLEDGER_API_KEY: apiKey },
      },
    );
    if (code !== 0) throw new Error(stderr);
    lines = (await readFile(path, 'utf8')).split('\n');
  });

  async function verifyLines(changed: readonly string[]): Promise<Verified> {
    const forged = join(shell.home, 'forged.jsonl');
    await writeFile(forged, changed.join('\n'));
    return verify(forged, '--vkey', vkey);
  }

  it('believes no other value of a field at its beginning', async () => {
    const head = JSON.parse(lines[0]!) as Record<string, unknown>;
    for (const name of ['format', 'organization_id', 'checkpoint']) {
      const foreign = {
        format: 'keyledger-audit-proofs@2',
        organization_id: other,
        checkpoint: truth('checkpoint', other).toString(),
      };
      for (const value of [undefined, null, 1, '', [], {}, foreign[name as keyof typeof foreign]]) {
        const result = await verifyLines(lines.with(0, JSON.stringify({ ...head, [name]: value })));
        expect({ name, value, ...result, caught: isFound(result) }).toMatchObject({ caught: true });
      }
    }
    for (const value of [undefined, null, [], ['not a key'], [truth('vkey', other).toString().trim()]]) {
      await writeFile(
        join(shell.home, 'forged.jsonl'),
        lines.with(0, JSON.stringify({ ...head, vkeys: value })).join('\n'),
      );
      const result = await verify(join(shell.home, 'forged.jsonl'));
      expect({ value, ...result, caught: isFound(result) }).toMatchObject({ caught: true });
    }
  });

  it('believes no other character of an entry, and names its leaf', async () => {
    for (const index of [0, 255, 256, SIZE - 1]) {
      const line = lines[index + 1]!;
      const begin = line.indexOf('"event":') + '"event":'.length;
      for (const place of [0.02, 0.1, 0.25, 0.4, 0.5, 0.75, 0.99]) {
        const changed = line.slice(0, begin) + otherAt(line.slice(begin, -1), place) + line.slice(-1);
        const result = await verifyLines(lines.with(index + 1, changed));
        expect({ changed, ...result }).toMatchObject({ code: 1, organization_id: team, leaf_index: index });
      }
    }
  });

  it('believes no line that is removed, repeated, moved, cut or empty, and names its leaf', async () => {
    for (const index of [0, 255, 256, SIZE - 2]) {
      const n = index + 1;
      const line = lines[n]!;
      const changes: [name: string, lines: string[]][] = [
        ['removed', lines.toSpliced(n, 1)],
        ['repeated', lines.toSpliced(n, 0, line)],
        ['exchanged', lines.with(n, lines[n + 1]!).with(n + 1, line)],
        ['empty', lines.with(n, '')],
        ['cut', lines.with(n, line.slice(0, -1))],
        ['longer', lines.with(n, `${line} `)],
        ['without its index', lines.with(n, line.replace(/"leaf_index":\d+,/, ''))],
        ['with another index', lines.with(n, line.replace(/"leaf_index":\d+/, '"leaf_index":12345'))],
        ['without its hash', lines.with(n, line.replace(/"leaf_hash":"[^"]+",/, ''))],
        ['with a short hash', lines.with(n, line.replace(/"leaf_hash":"..../, '"leaf_hash":"'))],
      ];
      for (const [name, changed] of changes) {
        const result = await verifyLines(changed);
        // Of a repeated line, the second one is in a wrong place.
        const leaf = name === 'repeated' ? index + 1 : index;
        expect({ name, ...result }).toMatchObject({ code: 1, organization_id: team, leaf_index: leaf });
      }
    }
  });

  it('believes no file that is cut or has more', async () => {
    const rest = [lines.slice(0, -2), lines.slice(0, 257), lines.slice(0, 1), [...lines.slice(0, -1), lines[1]!], ['']];
    for (const changed of rest) expect((await verifyLines(changed)).code).not.toBe(0);
  });
});
