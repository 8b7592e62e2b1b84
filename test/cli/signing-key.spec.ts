import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { signCheckpoint } from '#libs/tlog/checkpoint.js';
import { formatVkey, openNote, parseVkey } from '#libs/tlog/note.js';
import { signRotation } from '#libs/tlog/rotation.js';
import { startDeployment, TEST_SECRET, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { noteSigner } from '../support/note-signer.js';
import { leafHashOf, treeHash } from '../support/reference-tree.js';
import { Shell } from './command.js';

let deployment: Deployment;
let ada: Account;
let shell: Shell;
let team: string;
/** The keys in the order of their rotations. */
const vkeys: string[] = [];

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  shell = await Shell.open();
  await shell.signIn(deployment.url, ada);
  team = (await ada.client.organizations.create({ body: { name: 'Team' } })).id;
  await allIngested(deployment);
});

afterAll(async () => {
  await shell.close();
  await deployment.stop();
});

async function onThisMachine(args: string[], secret = TEST_SECRET) {
  const { apiUrl, anchorFile } = deployment.database;
  const env = { DATABASE_URL: apiUrl, ANCHOR_FILE: anchorFile, KEYLEDGER_SECRET: secret };
  const { code, stdout, stderr } = await shell.run(['audit', ...args], { env });
  await allIngested(deployment);
  return { code, stdout, stderr };
}

async function verify(...args: string[]) {
  const { code, stdout } = await shell.run(['audit', 'verify', ...args, '--json']);
  return { code, ...(JSON.parse(stdout) as Record<string, unknown>) };
}
const verifyTeam = (...args: string[]) => verify('--organization', team, ...args);

async function listed(): Promise<string[]> {
  return (await (await ada.client.audit.vkeys({ params: { id: team } })).text()).trimEnd().split('\n');
}
async function signersOf(): Promise<string[]> {
  const note = await (await ada.client.audit.checkpoint({ params: { id: team } })).text();
  return openNote(note, (await listed()).map(parseVkey)).signedBy.map(formatVkey);
}

const inHome = (name: string) => join(shell.home, name);
const exportTo = async (path: string) => {
  const { code, stderr } = await shell.run(['audit', 'export', '--proofs', '--organization', team, '--output', path]);
  if (code !== 0) throw new Error(stderr);
};

/** Time passes until the earlier keys have stopped signing. */
const endOverlap = () => deployment.sql.query('UPDATE audit_signing_key SET ends_at = now() WHERE ends_at > now()');

/** A copy of an export with other entries, signed by another key as if it were the log's. */
async function forgery(change: (entry: string) => string): Promise<{ path: string; vkey: string }> {
  const [first, ...lines] = (await readFile(inHome('audit.jsonl'), 'utf8')).trimEnd().split('\n');
  const head = JSON.parse(first!) as { checkpoint: string; vkeys: string[] };
  const [origin] = head.checkpoint.split('\n');
  const forger = noteSigner(origin!, 9);
  const changed = lines.map((line) => change(line));
  const leaves = changed.map((line) => leafHashOf(Buffer.from(/"event":(.*)\}$/.exec(line)![1]!)));
  const checkpoint = signCheckpoint({ origin: origin!, size: leaves.length, root: treeHash(leaves) }, [forger]);
  const vkey = formatVkey(forger.key);
  const path = inHome('forged.jsonl');
  const forged = JSON.stringify({ ...head, checkpoint, vkeys: [vkey, ...head.vkeys] });
  await writeFile(path, `${[forged, ...changed].join('\n')}\n`);
  return { path, vkey };
}

describe('keyledger audit rotate-key', () => {
  it('replaces no key before the first checkpoint', async () => {
    expect(await onThisMachine(['rotate-key'])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'No checkpoint has been signed yet, so there is no key to replace.\n',
    });
  });

  it('changes nothing with another KEYLEDGER_SECRET', async () => {
    vkeys.push(...(await listed()));
    expect(vkeys).toHaveLength(1);
    expect(await onThisMachine(['rotate-key'], 'another secret for tests, also long enough')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('sealed with another KEYLEDGER_SECRET'),
    });
    expect(await listed()).toEqual(vkeys);
    for (const name of ['state', 'late']) expect(await verifyTeam('--state', inHome(name))).toMatchObject({ code: 0 });
  });

  it('lets both keys sign, and names the new one in each log, signed by the earlier one', async () => {
    const { code, stdout } = await onThisMachine(['rotate-key', '--json']);
    expect({ code, ...(JSON.parse(stdout) as object) }).toEqual({
      code: 0,
      epoch: 1,
      logs: expect.any(Number),
      previous_key_ends_at: expect.any(String),
    });
    vkeys.push((await listed())[0]!);
    expect(await listed()).toEqual([vkeys[1], vkeys[0]]);
    expect((await signersOf()).toSorted()).toEqual(vkeys.toSorted());
    const { data } = await ada.client.audit.listEvents({
      query: { organization_id: team, type: 'audit_log.key_rotated' },
    });
    expect(data.map(({ event }) => event.data)).toEqual([
      expect.objectContaining({
        epoch: 1,
        vkey: vkeys[1],
        note: expect.stringContaining('keyledger-key-rotation 1\n'),
      }),
    ]);
  });
});

describe('an auditor', () => {
  it('follows during the overlap, and trusts the new key from then on', async () => {
    for (const args of [
      ['--vkey', vkeys[0]!],
      ['--vkey', vkeys[1]!],
    ])
      expect(await verifyTeam(...args)).toMatchObject({ code: 0 });
    expect(await verifyTeam('--state', inHome('state'))).toMatchObject({
      code: 0,
      key_from: 'state',
      key_follows: true,
      vkey: vkeys[1],
    });
    expect(await verifyTeam('--state', inHome('state'))).toMatchObject({ code: 0, vkey: vkeys[1] });
  });

  it('follows long after the overlap, over two rotations, on a server and in a file', async () => {
    await endOverlap();
    expect(await signersOf()).toEqual([vkeys[1]]);
    const { stdout: rotated } = await onThisMachine(['rotate-key']);
    expect(rotated).toMatch(/ The earlier key signs, too, until \d{4}-\d\d-\d\d \d\d:\d\d\.\n$/);
    await endOverlap();
    vkeys.push((await listed())[0]!);
    expect(await signersOf()).toEqual([vkeys[2]]);
    expect(await listed()).toEqual(vkeys.toReversed());
    await exportTo(inHome('audit.jsonl'));
    await copyFile(inHome('late'), inHome('late offline'));
    const followed = { code: 0, key_from: 'state', key_follows: true, vkey: vkeys[2], continues: expect.any(Number) };
    expect(await verify(inHome('audit.jsonl'), '--state', inHome('late offline'))).toMatchObject(followed);
    expect(await verifyTeam('--state', inHome('late'))).toMatchObject(followed);
    expect(await verify(inHome('audit.jsonl'), '--vkey', vkeys[0]!)).toMatchObject({ code: 0, key_from: 'option' });
    const { stdout } = await shell.run(['audit', 'verify', inHome('audit.jsonl'), '--vkey', vkeys[0]!]);
    expect(stdout).toContain(
      `with a new key, to which the given key handed over. Keep it, and give it with --vkey from now on: ${vkeys[2]}.`,
    );
  });

  it('keeps no key that could sign after its end', async () => {
    const { rows } = await deployment.sql.query<{ number: number; sealed: boolean }>(
      'SELECT number, private_key IS NOT NULL AS sealed FROM audit_signing_key ORDER BY number',
    );
    expect(rows.map(({ sealed }) => sealed)).toEqual([false, false, true]);
  });

  it.each<[string, (forger: ReturnType<typeof noteSigner>) => (entry: string) => string]>([
    ['to which no entry hands over', () => (entry) => entry],
    [
      'that an entry names without the signature of the earlier key',
      (forger) => (entry) => entry.replaceAll(vkeys[1]!, formatVkey(forger.key)),
    ],
    [
      'that hands over to itself',
      (forger) => (entry) =>
        entry.replace(/"vkey":"[^"]*","note":"[^"]*"/, () =>
          JSON.stringify({ vkey: formatVkey(forger.key), note: signRotation(forger.key, forger) }).slice(1, -1),
        ),
    ],
  ])('trusts no key %s', async (_, change) => {
    const origin = vkeys[0]!.split('+')[0]!;
    const { path, vkey } = await forgery(change(noteSigner(origin, 9)));
    // The forged log as such fits together.
    expect(await verify(path, '--vkey', vkey)).toMatchObject({ code: 0 });
    for (const args of [
      ['--vkey', vkeys[0]!],
      ['--vkey', vkeys[2]!],
    ]) {
      expect(await verify(path, ...args)).toMatchObject({
        code: 1,
        result: 'tampered',
        detail: expect.stringMatching(
          /no entry hands over from one to the key that signed it.* give the new key with --vkey/,
        ),
      });
    }
  });

  it('needs the new key from the people if the earlier one is compromised', async () => {
    await rm(inHome('audit.jsonl'));
    await exportTo(inHome('audit.jsonl'));
    expect(await onThisMachine(['rotate-key', '--compromised'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('To go on, add --yes.'),
    });
    expect(await listed()).toHaveLength(3);
    expect(await onThisMachine(['rotate-key', '--compromised', '--yes', '--json'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('"previous_key_ends_at":null'),
    });
    const [newest, ...earlier] = await listed();
    // Those that had stopped before were erased.
    expect(earlier).toEqual([vkeys[1], vkeys[0]]);
    expect(await signersOf()).toEqual([newest]);
    for (const args of [
      ['--state', inHome('state')],
      ['--vkey', vkeys[2]!],
      ['--vkey', vkeys[0]!],
    ]) {
      expect(await verifyTeam(...args)).toMatchObject({
        code: 1,
        detail: expect.stringMatching(/the log says that the key was compromised and replaced.* with --vkey/),
      });
    }
    expect(await verifyTeam('--state', inHome('state'), '--vkey', newest!)).toMatchObject({
      code: 0,
      key_from: 'option',
    });
    expect(await verifyTeam('--state', inHome('state'))).toMatchObject({ code: 0, key_from: 'state', vkey: newest });
    // What was exported before verifies with the key of its time.
    expect(await verify(inHome('audit.jsonl'), '--vkey', vkeys[2]!)).toMatchObject({ code: 0 });
  });
});

describe('an auditor with a state of an earlier epoch', () => {
  it('accepts the new epoch only by its number', async () => {
    expect(await onThisMachine(['new-epoch', '--yes'])).toMatchObject({ code: 0 });
    const state = ['--state', inHome('state')];
    expect(await verifyTeam(...state)).toMatchObject({
      code: 1,
      detail: expect.stringMatching(/a new epoch has begun\. Ask why\. Then accept it with --accept-epoch/),
    });
    for (const wrong of ['1', '3']) {
      expect(await verifyTeam(...state, '--accept-epoch', wrong)).toMatchObject({
        code: 1,
        detail: `The log has the epoch 2, not ${wrong}`,
      });
    }
    const { code, stderr } = await shell.run(['audit', 'verify', '--organization', team, ...state, '--accept-epoch']);
    expect({ code, stderr }).toEqual({ code: 64, stderr: expect.stringContaining('--accept-epoch') });
    expect(await verifyTeam(...state, '--accept-epoch', '2')).toMatchObject({ code: 0, key_from: 'log' });
    expect(await verifyTeam(...state)).toMatchObject({ code: 0, key_from: 'state' });
    // Accepting an epoch again does not make the command trust another key.
    await rm(inHome('audit.jsonl'));
    await exportTo(inHome('audit.jsonl'));
    const { path } = await forgery((entry) => entry);
    expect(await verify(path, ...state, '--accept-epoch', '2')).toMatchObject({ code: 1 });
  });
});
