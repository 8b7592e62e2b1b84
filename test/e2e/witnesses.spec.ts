import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { rename } from 'node:fs/promises';
import pg from 'pg';
import { rotateKey } from '#libs/audit/rotate-key.js';
import { ApiError } from '#libs/client/client.js';
import { toUuid } from '#libs/contract/ids.js';
import { Events } from '#libs/outbox/event.js';
import { DatabaseClock } from '#libs/platform/clock.js';
import { readConfig } from '#libs/platform/config.js';
import { PersonalData } from '#libs/platform/personal-data.js';
import { Sealing } from '#libs/platform/sealing.js';
import { parseWitnessVkey } from '#libs/tlog/cosignature.js';
import { parseVkey } from '#libs/tlog/note.js';
import { verifyReceipt } from '#libs/tlog/receipt.js';
import { verifyWitnessedReceipt } from '#libs/tlog/witnessed-receipt.js';
import { builtModule } from '../support/built-module.js';
import { startDeployment, TEST_SECRET, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { eventually } from '../support/eventually.js';
import { fillAuditLog } from '../support/audit-log.js';
import { Witness, type WitnessResponse } from '../support/witness.js';

const { Witnesses } = await builtModule<typeof import('#libs/audit/witnesses.js')>('#libs/audit/witnesses.js');

let deployment: Deployment;
let ada: Account;
let team: string;
let first: Witness;
let second: Witness;

beforeAll(async () => {
  [first, second] = [await Witness.start('first.example/w'), await Witness.start('second.example/w')];
  const WITNESSES = [first, second].map(({ vkey, url }) => `${vkey} ${url}`).join(', ');
  deployment = await startDeployment({ env: { WITNESSES, WITNESS_QUORUM: '2', WITNESS_SECONDS: '1' } });
  // Rounds that follow each other quickly, so that the tests wait less.
  Object.assign(deployment.api.get(Witnesses, { strict: false }), { intervalMs: 200 });
  ada = await deployment.account();
  team = (await ada.client.organizations.create({ body: { name: 'Team' } })).id;
  await allIngested(deployment);
});

afterAll(async () => {
  await deployment.stop();
  await first.stop();
  await second.stop();
});

const usual = (response: WitnessResponse) => response;
const integrity = () => ada.client.audit.integrity({ query: { organization_id: team } });
type Integrity = Awaited<ReturnType<typeof integrity>>;
const when = (isReached: (state: Integrity) => boolean) => eventually(integrity, isReached, 15_000);

async function receipt(index: number, witnessed: 'true' | 'false' = 'true', organization = team): Promise<string> {
  const response = await ada.client.audit.receipt({
    params: { leaf_index: index },
    query: { organization_id: organization, witnessed },
  });
  return response.text();
}
const problem = async (call: Promise<unknown>) =>
  call.then(
    () => null,
    (error: unknown) => (error as ApiError).problem,
  );
const vkeys = async () =>
  (await (await ada.client.audit.vkeys({ params: { id: team } })).text())
    .trimEnd()
    .split('\n')
    .map((vkey) => parseVkey(vkey));
const policy = () => ({ witnesses: [first, second].map(({ vkey }) => parseWitnessVkey(vkey)), quorum: 2 });

async function grow(by: number): Promise<number> {
  const { checkpoint } = await integrity();
  const size = checkpoint!.size + by;
  await fillAuditLog(deployment.sql, size, {
    organizationId: team,
    apiKeyId: 'key_01h455vb4pex5vsknk084sn02q',
    data: {},
    path: '/',
  });
  return size;
}
const isCovered = (size: number) => (state: Integrity) => (state.witnesses?.cosigned?.size ?? 0) >= size;

describe('the witnesses', () => {
  it('cosign one log for all organizations, which has its own origin and key', async () => {
    const state = await when(isCovered(1));
    const [vkey] = state.witnesses!.log_of_heads.vkeys;
    const origin = parseVkey(vkey!).name;
    expect(origin).toBe(state.checkpoint!.origin.replace(/[^/]*$/, 'heads'));
    for (const { seen } of [first, second]) expect([...seen.keys()]).toEqual([origin]);
    expect(state.witnesses).toMatchObject({
      quorum: 2,
      cosigned: { size: state.checkpoint!.size },
      witnesses: [first, second].map(({ name, vkey: own }) => ({ name, vkey: own, failed_at: null })),
    });
    // From now on they accept no other key.
    for (const witness of [first, second]) witness.knownLogs = state.witnesses!.log_of_heads.vkeys;
  });

  it('get each larger log with a proof that continues what they have seen', async () => {
    for (const by of [1, 300]) await when(isCovered(await grow(by)));
    for (const { asked } of [first, second]) {
      expect(asked.length).toBeGreaterThan(2);
      expect(asked.every(({ status }) => status === 200)).toBe(true);
      expect(asked.at(-1)!.body).toMatch(/^old [1-9]\d*\n(\S{44}\n)+\n/);
    }
  });

  it('are asked no more while nothing changes', async () => {
    const { witnesses } = await when((state) => state.witnesses!.witnesses.every((one) => one.is_up_to_date));
    const count = first.asked.length;
    const before = await deployment.sql.query<{ asked_at: Date }>('SELECT asked_at FROM audit_heads');
    await eventually(
      () => deployment.sql.query<{ asked_at: Date }>('SELECT asked_at FROM audit_heads'),
      ({ rows }) => rows[0]!.asked_at > before.rows[0]!.asked_at,
      15_000,
    );
    expect((await integrity()).witnesses).toMatchObject({ log_of_heads: witnesses!.log_of_heads });
    expect(first.asked).toHaveLength(count);
  });

  it('get the log again from the size that one of them still has', async () => {
    const [[origin, before]] = [...first.seen] as [[string, { size: bigint; root: Buffer; note: string }]];
    await when(isCovered(await grow(1)));
    first.seen.set(origin, before);
    await when(isCovered(await grow(1)));
    expect(first.asked.slice(-2).map(({ status }) => status)).toEqual([409, 200]);
  });
});

describe('a witness that fails', () => {
  it('is reported, keeps no other from cosigning, and covers nothing before it cosigns', async () => {
    first.tamper = () => ({ status: 503, body: '' });
    const size = await grow(1);
    const [own, other] = (await when(({ witnesses }) => witnesses!.witnesses[0]!.failed_at !== null)).witnesses!
      .witnesses;
    expect(own).toMatchObject({ name: first.name, is_up_to_date: false, cosigned_at: expect.any(String) });
    expect(other).toMatchObject({ name: second.name, failed_at: null });
    const { rows } = await deployment.sql.query('SELECT vkey, failure FROM audit_witness WHERE failure IS NOT NULL');
    expect(rows).toEqual([{ vkey: first.vkey, failure: 'responds with status 503' }]);
    expect(await problem(receipt(size - 1))).toMatchObject({ code: 'not_witnessed', status: 409 });
    // What was covered before still is.
    expect(await receipt(0)).toContain('c2sp.org/tlog-proof@v1');
    first.tamper = usual;
    await when(isCovered(size));
    expect((await integrity()).witnesses!.witnesses.map(({ failed_at }) => failed_at)).toEqual([null, null]);
  });

  it('delays neither events nor checkpoints', async () => {
    let release = () => undefined as void;
    const released = new Promise<void>((resolve) => (release = resolve));
    first.tamper = (response) => released.then(() => response);
    const asked = first.asked.length;
    const size = await grow(1);
    await eventually(
      async () => first.asked.length,
      (count) => count > asked,
      15_000,
    );
    const { id } = await ada.client.projects.create({ body: { name: 'Meanwhile', organization_id: team } });
    await allIngested(deployment);
    const { data } = await ada.client.audit.listEvents({ query: { organization_id: team, project_id: id } });
    expect(data).toHaveLength(1);
    expect((await integrity()).checkpoint!.size).toBeGreaterThan(size);
    release();
    first.tamper = usual;
    await when(isCovered(size + 1));
  });
});

describe('a receipt', () => {
  it('leads from the event to the cosignatures', async () => {
    const size = (await integrity()).witnesses!.cosigned!.size;
    for (const index of [0, 1, size >> 1, size - 1]) {
      const text = await receipt(index);
      const proven = verifyWitnessedReceipt(text, await vkeys(), policy());
      expect(proven).toMatchObject({ index });
      expect(proven.cosignatures.map(({ witness }) => witness.name)).toEqual([first.name, second.name]);
      const plain = verifyReceipt(await receipt(index, 'false'), await vkeys());
      expect(Buffer.from(proven.entry).toString()).toBe(Buffer.from(plain.entry).toString());
    }
  });

  it('is proven at the size that the witnesses know, while the log is larger', async () => {
    const covered = (await integrity()).witnesses!.cosigned!.size;
    first.tamper = () => ({ status: 503, body: '' });
    const size = await grow(5);
    await when(({ witnesses }) => witnesses!.witnesses[0]!.failed_at !== null);
    expect(verifyWitnessedReceipt(await receipt(0), await vkeys(), policy()).checkpoint.size).toBe(covered);
    expect(await problem(receipt(covered))).toMatchObject({
      code: 'not_witnessed',
      detail: `Witnesses have cosigned the first ${covered} events of this audit log, not the one with the leaf index ${covered}`,
    });
    expect(verifyReceipt(await receipt(covered, 'false'), await vkeys()).index).toBe(covered);
    first.tamper = usual;
    await when(isCovered(size));
    expect(verifyWitnessedReceipt(await receipt(covered), await vkeys(), policy()).checkpoint.size).toBe(size);
  });

  it('is not there for an event that the log does not have, or of another organization', async () => {
    expect(await problem(receipt(1_000_000))).toMatchObject({ code: 'not_found' });
    const bob = await deployment.account();
    const foreign = bob.client.audit.receipt({
      params: { leaf_index: 0 },
      query: { organization_id: team, witnessed: 'true' },
    });
    expect(await problem(foreign)).toMatchObject({ code: 'not_found' });
  });

  it('is not made of a log that was changed after the witnesses cosigned it', async () => {
    const { sql } = deployment;
    const { rows } = await sql.query<{ index: string; root: Buffer }>(
      'SELECT index, root FROM audit_head WHERE organization_id = $1 ORDER BY index DESC LIMIT 1',
      [toUuid(team)],
    );
    await sql.query('ALTER TABLE audit_head DISABLE TRIGGER ALL');
    const set = (root: Buffer) => sql.query('UPDATE audit_head SET root = $2 WHERE index = $1', [rows[0]!.index, root]);
    await set(Buffer.alloc(32));
    try {
      expect(await problem(receipt(0))).toMatchObject({
        code: 'audit_log_damaged',
        detail: expect.stringContaining('not the one that the witnesses cosigned'),
      });
    } finally {
      await set(rows[0]!.root);
    }
    expect(await problem(receipt(0))).toBeNull();
  });
});

describe('while one key replaces another', () => {
  const rotate = async (overlapDays: number | null) => {
    const config = readConfig({ DATABASE_URL: deployment.database.apiUrl, KEYLEDGER_SECRET: TEST_SECRET });
    const clock = new DatabaseClock();
    const client = new pg.Client({ connectionString: deployment.database.apiUrl });
    await client.connect();
    await clock.read(client);
    const events = new Events(clock, new PersonalData(config), config);
    await rotateKey(client, { events, sealing: new Sealing(config) }, overlapDays);
    await client.end();
    await allIngested(deployment);
  };

  it('a witness that knows one of them cosigns, and receipts are proven with either', async () => {
    const [before] = await vkeys();
    await rotate(30);
    const [newest, ...others] = await vkeys();
    expect(others).toEqual([before]);
    const size = (await integrity()).checkpoint!.size;
    const { log_of_heads: heads } = (await when(isCovered(size))).witnesses!;
    for (const key of [before!, newest!]) {
      expect(verifyWitnessedReceipt(await receipt(size - 1), [key], policy()).index).toBe(size - 1);
    }
    // The witnesses get to know the new key. Then the earlier one stops.
    for (const witness of [first, second]) witness.knownLogs = heads.vkeys;
    await deployment.sql.query('UPDATE audit_signing_key SET ends_at = now() WHERE ends_at > now()');
    const later = await grow(1);
    await when(isCovered(later));
    expect(verifyWitnessedReceipt(await receipt(later - 1), [newest!], policy()).index).toBe(later - 1);
    await expect(receipt(later - 1).then((text) => verifyWitnessedReceipt(text, [before!], policy()))).rejects.toThrow(
      'no signature of a known key',
    );
  });

  it('what a compromised key signed is no longer proven, and no sign of damage', async () => {
    const size = (await integrity()).checkpoint!.size;
    await rotate(null);
    // The witnesses do not know the next key yet.
    expect((await integrity()).witnesses!.cosigned).toBeNull();
    expect(await problem(receipt(size - 1))).toMatchObject({ code: 'not_witnessed' });
    const { log_of_heads: heads } = (await integrity()).witnesses!;
    for (const witness of [first, second]) witness.knownLogs = heads.vkeys;
    await when(isCovered(size));
    const [current] = await vkeys();
    expect(verifyWitnessedReceipt(await receipt(size - 1), [current!], policy()).index).toBe(size - 1);
  });
});

describe('the log of heads', () => {
  it('has one entry for each head that changed, and is as large as the witnesses know', async () => {
    const { rows } = await deployment.sql.query<{ entries: number; size: number; shrinking: number }>(
      `SELECT count(*)::int AS entries, (SELECT size::int FROM audit_heads) AS size,
              count(*) FILTER (WHERE size <= before)::int AS shrinking
       FROM (SELECT size, lag(size) OVER (PARTITION BY organization_id ORDER BY index) AS before FROM audit_head) AS h`,
    );
    expect(rows[0]).toEqual({ entries: rows[0]!.size, size: rows[0]!.size, shrinking: 0 });
    expect([...first.seen.values()][0]!.size).toBeLessThanOrEqual(BigInt(rows[0]!.size));
  });

  it('is anchored like each audit log, and without the anchor nothing is given to a witness', async () => {
    const { anchorFile } = deployment.database;
    await when(({ witnesses }) => witnesses!.witnesses.every((one) => one.is_up_to_date));
    const asked = first.asked.length;
    await rename(anchorFile, `${anchorFile}.kept`);
    try {
      expect((await integrity()).unavailable).toContain('`keyledger audit new-epoch`');
      await ada.client.projects.create({ body: { name: 'Recorded', organization_id: team } });
      await allIngested(deployment);
      expect((await integrity()).checkpoint).toBeNull();
      expect(first.asked).toHaveLength(asked);
    } finally {
      await rename(`${anchorFile}.kept`, anchorFile);
    }
    await when(isCovered((await integrity()).checkpoint!.size));
  });
});
