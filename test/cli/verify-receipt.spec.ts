import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { formatVkey } from '#libs/tlog/note.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { eventually } from '../support/eventually.js';
import { noteSigner } from '../support/note-signer.js';
import { Witness } from '../support/witness.js';
import { Shell } from './command.js';

let deployment: Deployment;
let ada: Account;
let shell: Shell;
let witness: Witness;
let vkey: string;
const stranger = new Witness('stranger.example/w');

beforeAll(async () => {
  witness = await Witness.start('witness.example/w');
  deployment = await startDeployment({ env: { WITNESSES: `${witness.vkey} ${witness.url}/`, WITNESS_SECONDS: '1' } });
  ada = await deployment.account();
  shell = await Shell.open();
  await allIngested(deployment);
  await eventually(
    () => ada.client.audit.integrity({ query: {} }),
    ({ witnesses }) => (witnesses?.cosigned?.size ?? 0) > 0,
    15_000,
  );
  vkey = (await (await ada.client.audit.vkeys({ params: { id: ada.organizationId } })).text()).trim();
  for (const witnessed of ['true', 'false'] as const) {
    const response = await ada.client.audit.receipt({ params: { leaf_index: 0 }, query: { witnessed } });
    await writeFile(join(shell.home, witnessed), await response.text());
  }
});

afterAll(async () => {
  await shell.close();
  await deployment.stop();
  await witness.stop();
});

const run = (file: string, ...args: string[]) =>
  shell.run(['audit', 'verify-receipt', join(shell.home, file), ...args]);
async function verify(file: string, ...args: string[]) {
  const { code, stdout } = await run(file, ...args, '--json');
  return { code, ...(JSON.parse(stdout) as Record<string, unknown>) };
}

describe('keyledger audit verify-receipt', () => {
  it('verifies a receipt with the cosignatures of witnesses, without a server', async () => {
    expect(await verify('true', '--vkey', vkey, '--witness', witness.vkey)).toMatchObject({
      code: 0,
      result: 'verified',
      leaf_index: 0,
      event: { type: 'organization.created' },
      cosignatures: [{ name: witness.name, time: expect.stringMatching(/^2\d{3}-.*Z$/) }],
    });
    const { stdout } = await run('true', '--vkey', vkey, '--witness', witness.vkey);
    expect(stdout).toMatch(
      /^The event 0 was among the first \d+ of the audit log keyledger\.test\/.*Cosigned by witness\.example\/w at /s,
    );
    // Enough of those that are known.
    const both = ['--witness', witness.vkey, '--witness', stranger.vkey];
    expect(await verify('true', '--vkey', vkey, ...both, '--quorum', '1')).toMatchObject({ code: 0 });
    expect(await verify('true', '--vkey', vkey)).toMatchObject({ code: 0, cosignatures: [] });
  });

  it('verifies a receipt without cosignatures, but not if some are demanded', async () => {
    expect(await verify('false', '--vkey', vkey)).toMatchObject({ code: 0, result: 'verified', leaf_index: 0 });
    expect(await verify('false', '--vkey', vkey, '--witness', witness.vkey)).toMatchObject({
      code: 2,
      detail: 'the receipt has no cosignatures: get one with witnessed=true',
    });
  });

  it('finds a receipt that proves nothing', async () => {
    const other = formatVkey(noteSigner(vkey.split('+')[0]!).key);
    for (const file of ['true', 'false']) {
      expect(await verify(file, '--vkey', other)).toMatchObject({ code: 1, result: 'tampered' });
    }
    for (const args of [
      ['--witness', stranger.vkey],
      ['--witness', witness.vkey, '--witness', stranger.vkey],
    ]) {
      expect(await verify('true', '--vkey', vkey, ...args)).toMatchObject({ code: 1 });
    }
    const { stdout } = await run('true', '--vkey', vkey, '--witness', stranger.vkey);
    expect(stdout).toBe(
      'The receipt does NOT prove its event: Of the known witnesses, 0 cosigned, and 1 are needed.\n',
    );
  });

  it('says what it could not check, and refuses what makes no sense', async () => {
    await writeFile(join(shell.home, 'other'), 'something else\n');
    for (const file of ['nowhere', 'other']) {
      expect(await verify(file, '--vkey', vkey)).toMatchObject({ code: 2, result: 'incomplete' });
    }
    for (const args of [
      ['--vkey', vkey, '--witness', vkey],
      ['--vkey', witness.vkey],
      ['--vkey', 'mistyped'],
    ]) {
      const { code, stderr } = await run('true', ...args);
      expect({ code, stderr }).toEqual({ code: 64, stderr: expect.stringContaining('is not such a key: The key ') });
    }
    const noKey = await run('true');
    expect(noKey).toEqual({ code: 64, stdout: '', stderr: 'Give the key of the audit log with --vkey.\n' });
    for (const args of [
      ['--quorum', '1'],
      ['--witness', witness.vkey, '--quorum', '0'],
    ]) {
      expect(await run('true', '--vkey', vkey, ...args)).toEqual({
        code: 64,
        stdout: '',
        stderr: '--quorum is at least 1, and at most the number of --witness.\n',
      });
    }
  });
});
