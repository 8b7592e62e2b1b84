import { lstat, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { toUuid } from '#libs/contract/ids.js';
import { formatVkey } from '#libs/tlog/note.js';
import { fillAuditLog } from '../support/audit-log.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { startLyingServer } from '../support/lying-server.js';
import { noteSigner } from '../support/note-signer.js';
import { Shell } from './command.js';

const SIZE = 600;

let deployment: Deployment;
let ada: Account;
let shell: Shell;
let team: string;
let file: string;
let vkey: string;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  shell = await Shell.open();
  await shell.signIn(deployment.url, ada);
  team = (await ada.client.organizations.create({ body: { name: 'Team' } })).id;
  await allIngested(deployment);
  await grow(SIZE);
  vkey = (await (await ada.client.audit.vkeys({ params: { id: team } })).text()).trim();
  file = join(shell.home, 'audit.jsonl');
  const { code, stderr } = await shell.run(['audit', 'export', '--proofs', '--organization', team, '--output', file]);
  if (code !== 0) throw new Error(stderr);
});

afterAll(async () => {
  await shell.close();
  await deployment.stop();
});

const grow = (size: number) =>
  fillAuditLog(deployment.sql, size, {
    organizationId: team,
    apiKeyId: 'key_01h455vb4pex5vsknk084sn02q',
    data: {},
    path: '/v1/',
  });

async function verify(...args: string[]) {
  const { code, stdout, stderr } = await shell.run(['audit', 'verify', ...args, '--json']);
  return { code, stderr, ...(stdout ? (JSON.parse(stdout) as Record<string, unknown>) : {}) };
}

/** A copy of the export in which some lines are others. */
async function forged(change: (lines: string[]) => string[]): Promise<string> {
  const path = join(shell.home, 'forged.jsonl');
  await writeFile(path, change((await readFile(file, 'utf8')).split('\n')).join('\n'));
  return path;
}

describe('keyledger audit verify', () => {
  it('verifies a log on a server, and says what it trusts', async () => {
    expect(await verify('--organization', team)).toMatchObject({
      code: 0,
      result: 'verified',
      organization_id: team,
      size: SIZE,
      vkey,
      key_from: 'log',
    });
    const { stdout } = await shell.run(['audit', 'verify', '--organization', team, '--vkey', vkey]);
    expect(stdout).toBe(`Verified ${SIZE} entries of the audit log of ${team}, with the given key.\n`);
  });

  it('verifies an export without a server, and without being signed in', async () => {
    const offline = await Shell.open();
    const { code, stdout } = await offline.run(['audit', 'verify', file, '--vkey', vkey]);
    await offline.close();
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining(`Verified ${SIZE} entries`) });
  });

  it('remembers the checkpoint, and demands that the next one continues it', async () => {
    const state = join(shell.home, 'state');
    expect(await verify(file, '--state', state)).toMatchObject({ code: 0, key_from: 'log' });
    await grow(SIZE + 300);
    expect(await verify('--organization', team, '--state', state)).toMatchObject({
      code: 0,
      size: SIZE + 300,
      continues: SIZE,
      key_from: 'state',
    });
    // The export is older than what was verified.
    expect(await verify(file, '--state', state)).toMatchObject({
      code: 1,
      result: 'tampered',
      detail: expect.stringContaining('its end was cut off'),
    });
    await writeFile(state, 'not a state');
    expect(await verify(file, '--state', state)).toMatchObject({
      code: 2,
      detail: expect.stringContaining('restore it'),
    });
  });

  it('writes its state through no symbolic link', async () => {
    const state = join(shell.home, 'linked');
    const target = join(shell.home, 'precious');
    await writeFile(target, 'precious');
    for (const name of [`${state}.new`, `${state}.tmp`]) await symlink(target, name);
    expect(await verify(file, '--state', state)).toMatchObject({ code: 0 });
    expect(await readFile(target, 'utf8')).toBe('precious');
    expect((await lstat(state)).isFile()).toBe(true);
  });

  it('names the entry of an export that was changed', async () => {
    for (const index of [0, 255, 256, SIZE - 1]) {
      const path = await forged((lines) =>
        lines.with(index + 1, lines[index + 1]!.replace('"specversion":"1.0"', '"specversion":"1.1"')),
      );
      expect(await verify(path, '--vkey', vkey)).toMatchObject({
        code: 1,
        result: 'tampered',
        organization_id: team,
        leaf_index: index,
      });
    }
  });

  it.each<[string, (lines: string[]) => string[]]>([
    ['removed', (lines) => lines.toSpliced(300, 1)],
    ['repeated', (lines) => lines.toSpliced(300, 0, lines[300]!)],
    ['exchanged', (lines) => lines.with(300, lines[301]!).with(301, lines[300]!)],
    ['missing at the end', (lines) => [...lines.slice(0, -3), '']],
    [
      'added at the end',
      (lines) => [...lines.slice(0, -1), lines[1]!.replace('"leaf_index":0', `"leaf_index":${SIZE}`), ''],
    ],
    ['that are no lines of the export', (lines) => lines.with(9, '{}')],
    [
      'in another organization’s name',
      (lines) => lines.with(0, lines[0]!.replace(/"checkpoint":"[^/]*/, '"checkpoint":"evil.example')),
    ],
  ])('finds entries %s', async (_, change) => {
    expect(await verify(await forged(change), '--vkey', vkey)).toMatchObject({ code: 1, result: 'tampered' });
  });

  it('ignores keys of other kinds that the log lists', async () => {
    const path = await forged((lines) =>
      lines.with(0, lines[0]!.replace('"vkeys":[', '"vkeys":["another+kind+of+key",')),
    );
    for (const args of [[], ['--vkey', vkey]]) expect(await verify(path, ...args)).toMatchObject({ code: 0 });
  });

  it('is not misled by a wrong hash beside a right entry', async () => {
    const path = await forged((lines) => lines.with(9, lines[9]!.replace(/"leaf_hash":"..../, '"leaf_hash":"AAAA')));
    expect(await verify(path, '--vkey', vkey)).toMatchObject({ code: 0, size: SIZE });
  });

  it('trusts no other key than the given one', async () => {
    const other = noteSigner(vkey.split('+')[0]!);
    expect(await verify(file, '--vkey', formatVkey(other.key))).toMatchObject({
      code: 1,
      detail: expect.stringContaining('no signature of a known key'),
    });
  });

  it('names the bundle of an entry that was changed in the database after it was signed', async () => {
    const { sql } = deployment;
    await sql.query('ALTER TABLE audit_body DISABLE TRIGGER ALL');
    const { rows } = await sql.query<{ body: Buffer }>(
      'SELECT body FROM audit_body WHERE organization_id = $1 AND index = 1',
      [toUuid(team)],
    );
    const changed = Buffer.from(
      zstdDecompressSync(rows[0]!.body).toString('latin1').replace('/v1/300', '/v1/999'),
      'latin1',
    );
    const put = (body: Buffer) =>
      sql.query('UPDATE audit_body SET body = $2 WHERE organization_id = $1 AND index = 1', [toUuid(team), body]);
    await put(zstdCompressSync(changed));
    try {
      expect(await verify('--organization', team)).toMatchObject({
        code: 1,
        result: 'tampered',
        organization_id: team,
        leaf_index: 256,
        last_leaf_index: 511,
        detail: 'An entry of the leaves 256 to 511 was changed',
      });
    } finally {
      await put(rows[0]!.body);
    }
    expect(await verify('--organization', team)).toMatchObject({ code: 0 });
  });

  it('names the entry that a server changes on the way', async () => {
    const liar = await startLyingServer(deployment.url);
    liar.lie = (path, said) =>
      path.includes('/tile/entries/001')
        ? { ...said, body: Buffer.from(said.body.toString('latin1').replace('/v1/300', '/v1/999'), 'latin1') }
        : said;
    const key = await ada.client.apiKeys.create({
      body: { name: 'Auditor', organization_id: team, scopes: ['audit:read'] },
    });
    const env = { KEYLEDGER_URL: liar.url, KEYLEDGER_API_KEY: key.key };
    const { code, stdout } = await shell.run(['audit', 'verify', '--organization', team, '--json'], { env });
    await liar.close();
    expect({ code, ...(JSON.parse(stdout) as object) }).toMatchObject({ code: 1, leaf_index: 300 });
  });

  it('says what it could not check', async () => {
    expect(await verify(join(shell.home, 'nowhere'))).toMatchObject({ code: 2, result: 'incomplete' });
    const cut = await forged((lines) => [...lines.slice(0, 300), lines[300]!.slice(0, -50)]);
    expect(await verify(cut, '--vkey', vkey)).toMatchObject({
      code: 2,
      result: 'incomplete',
      detail: `${cut} ends in the middle of a line: give the whole file.`,
    });
    for (const text of ['', '\n', '{}\n', '{"format":"another@1"}\n', 'not JSON\n']) {
      await writeFile(join(shell.home, 'other'), text);
      expect(await verify(join(shell.home, 'other'))).toMatchObject({
        code: 2,
        result: 'incomplete',
        detail: expect.stringContaining('is not what `keyledger audit export --proofs` writes'),
      });
    }
    const foreign = (await (await deployment.account()).client.organizations.create({ body: { name: 'Other' } })).id;
    expect(await verify('--organization', foreign)).toMatchObject({
      code: 2,
      detail: expect.stringContaining('not_found'),
    });
    expect((await verify()).code).toBe(64);
    expect(await verify(file, '--vkey', vkey.slice(0, -1))).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('--vkey is not such a key'),
    });
    expect((await verify(file, '--organization', team)).code).toBe(64);
  });
});

describe('keyledger audit export --proofs', () => {
  it('has the exact text of each event', async () => {
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
    expect(lines).toHaveLength(SIZE + 1);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      format: 'keyledger-audit-proofs@1',
      organization_id: team,
      vkeys: [vkey],
    });
    expect(JSON.parse(lines[300]!)).toMatchObject({ leaf_index: 299, event: { type: 'api_key.used' } });
  });

  it('takes no filter, because it proves the whole log', async () => {
    for (const args of [
      [],
      ['--organization', team, '--type', 'api_key.*'],
      ['--organization', team, '--format', 'csv'],
    ]) {
      const { code, stderr } = await shell.run(['audit', 'export', '--proofs', ...args]);
      expect({ code, stderr }).toEqual({ code: 64, stderr: expect.stringContaining('--proofs needs --organization') });
    }
  });
});
