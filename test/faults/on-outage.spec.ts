import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { createClient, type Client } from '#libs/client/client.js';
import { toUuid } from '#libs/contract/ids.js';
import { survivingPool } from '#libs/database/database.js';
import type { Batch } from '#libs/outbox/batches.js';
import { builtModule } from '../support/built-module.js';
import { createCable } from '../support/cable.js';
import { createDatabase, type TestDatabase } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { codeOf } from '../support/rejection.js';
import { withOtherSecret } from '../support/tokens.js';
import { startWatched, type WatchedProcess } from '../support/watched-processes.js';

const { recordsOf } = await builtModule<typeof import('#libs/outbox/batches.js')>('#libs/outbox/batches.js');

let database: TestDatabase;
let sql: pg.Pool;
let cable: Awaited<ReturnType<typeof createCable>>;
/** Two nodes whose database can be taken away, and one node that always has it. */
let refusing: WatchedProcess;
let allowing: WatchedProcess;
let other: WatchedProcess;
let ada: Client;
let organizationId: string;

beforeAll(async () => {
  database = await createDatabase();
  sql = survivingPool({ connectionString: database.adminUrl });
  cable = await createCable(new URL(database.apiUrl));
  const cabled = new URL(database.apiUrl);
  cabled.port = String(cable.port);
  [refusing, allowing, other] = await Promise.all([
    startWatched('api', { DATABASE_URL: cabled.href }),
    startWatched('api', { DATABASE_URL: cabled.href, ON_OUTAGE: 'allow', LOG_LEVEL: 'warn' }),
    startWatched('api', { DATABASE_URL: database.apiUrl }),
  ]);
  const account = { email: 'ada@example.com', password: 'nine lamps above the quay' };
  const anonymous = createClient({ baseUrl: other.url });
  const { organization } = await anonymous.auth.register({ body: { ...account, name: 'Ada' } });
  organizationId = organization.id;
  const { access_token: accessToken } = await anonymous.auth.login({ body: account });
  ada = createClient({ baseUrl: other.url, accessToken });
});

afterAll(async () => {
  await Promise.all([refusing, allowing, other].map((node) => node.stop()));
  await cable.close();
  await sql.end();
  await database.drop();
});

const newKey = (...scopes: string[]) =>
  ada.apiKeys.create({ body: { name: 'Subject', scopes: scopes.length > 0 ? scopes : ['triggers:read'] } });

/** @returns the status and the code that a gateway gets */
async function ask(node: WatchedProcess, key: string, query = ''): Promise<string> {
  const { status, headers } = await fetch(`${node.url}/authz${query}`, { headers: { 'x-api-key': key } });
  return `${status} ${headers.get('x-authz-code')}`;
}

/** Creates a key, and loads it into the caches of both nodes. */
async function knownKey(...scopes: string[]) {
  const created = await newKey(...scopes);
  expect(await ask(allowing, created.key)).toBe('200 valid');
  expect(await ask(refusing, created.key)).toBe('200 valid');
  return created;
}

/** Creates a key that is known to be revoked. */
async function revokedKey() {
  const created = await knownKey();
  await ada.apiKeys.delete({ params: { id: created.id } });
  expect(await ask(allowing, created.key)).toBe('401 revoked');
  return created;
}

async function unrecorded(node = allowing): Promise<number> {
  const [, value] = /^keyledger_unrecorded_responses_total (\d+)$/m.exec(await node.metrics())!;
  return Number(value);
}

/** Waits until the node records its good responses again. */
async function recordsAgain(): Promise<void> {
  const { key } = await newKey();
  const isRecorded = async () => {
    const before = await unrecorded();
    return (await ask(allowing, key)) === '200 valid' && (await unrecorded()) === before;
  };
  expect(await eventually(isRecorded, Boolean)).toBe(true);
}

/** How many uses of the key were recorded. No worker runs here, so all of them are still in the outbox. */
async function recordedUses(keyId: string): Promise<number> {
  const { rows } = await sql.query<Batch>('SELECT version, body FROM outbox');
  return rows
    .flatMap((batch) => recordsOf(batch))
    .filter((record) => {
      const { type, subject } = record.read().envelope;
      return type === 'api_key.used' && subject === keyId;
    }).length;
}

async function readiness(node: WatchedProcess) {
  const response = await fetch(`${node.url}/health/ready`);
  const { checks } = (await response.json()) as { checks: Record<string, { status: string; detail: string }> };
  return { status: response.status, database: checks['database']!.status, durability: checks['durability']!.detail };
}

async function mend(): Promise<void> {
  cable.mend();
  await recordsAgain();
}

const WAYS = ['cut', 'hang'] as const;

/** One outage for all tests: while the database hangs, a node needs seconds to notice it, and to recover. */
describe.each(WAYS)('while the database is unavailable (%s)', (how) => {
  let good: Awaited<ReturnType<typeof newKey>>;
  let revoked: Awaited<ReturnType<typeof newKey>>;
  let service: Awaited<ReturnType<typeof newKey>>;
  /** No node has it in its cache. */
  let unknown: Awaited<ReturnType<typeof newKey>>;
  let before: Awaited<ReturnType<typeof readiness>>;

  beforeAll(async () => {
    revoked = await revokedKey();
    good = await knownKey();
    service = await knownKey('api-keys:verify');
    unknown = await newKey();
    before = await readiness(allowing);
    cable[how]();
  });

  afterAll(mend);

  it('every key is rejected by default', async () => {
    // While the database hangs, each response takes seconds.
    const responses = await Promise.all([
      ask(refusing, good.key),
      ask(refusing, unknown.key),
      ask(refusing, good.key, '?scope=events:read'),
      readiness(refusing).then(({ status }) => status),
    ]);
    expect(responses).toEqual(['503 audit_unavailable', '503 database_unavailable', '503 database_unavailable', 503]);
    expect(await unrecorded(refusing)).toBe(0);
  });

  it('with ON_OUTAGE=allow keys are verified from the cache, and each acceptance is counted', async () => {
    const counted = await unrecorded();
    // These requests find out that the database is unavailable.
    const verifier = createClient({ baseUrl: allowing.url, apiKey: service.key });
    const verified = verifier.apiKeys.verify({ body: { key: good.key } });
    const together = await Promise.all(Array.from({ length: 20 }, () => ask(allowing, good.key)));
    expect(new Set(together)).toEqual(new Set(['200 valid']));
    expect(await verified).toMatchObject({ valid: true, code: 'valid' });
    const elsewhere = '?project=proj_01h455vb4pex5vsknk084sn02q';
    const fromDatabase = Promise.all([ask(allowing, unknown.key), ask(allowing, good.key, elsewhere)]);
    // If each of these waited for the database, they would take minutes.
    for (let use = 0; use < 100; use++) expect(await ask(allowing, good.key)).toBe('200 valid');
    for (let rejection = 0; rejection < 20; rejection++) {
      expect(await ask(allowing, good.key, '?scope=events:read')).toBe('403 insufficient_scope');
      expect(await ask(allowing, revoked.key)).toBe('401 revoked');
      expect(await ask(allowing, withOtherSecret(good.key))).toBe('401 invalid_key');
    }
    expect(await fromDatabase).toEqual(['503 database_unavailable', '503 database_unavailable']);
    expect(await unrecorded()).toBe(counted + 121);
  });

  it('with ON_OUTAGE=allow the verify endpoint also responds, and each acceptance is counted once', async () => {
    const caller = createClient({ baseUrl: allowing.url, apiKey: service.key });
    const counted = await unrecorded();
    expect(await caller.apiKeys.verify({ body: { key: good.key } })).toMatchObject({ valid: true, code: 'valid' });
    expect(await unrecorded()).toBe(counted + 1);
    const powerless = createClient({ baseUrl: allowing.url, apiKey: good.key });
    const codes = await Promise.all([
      codeOf(caller.apiKeys.verify({ body: { key: unknown.key } })),
      codeOf(powerless.apiKeys.verify({ body: { key: good.key } })),
      codeOf(powerless.auth.whoami()),
    ]);
    expect(codes).toEqual(['database_unavailable', 'insufficient_scope', 'audit_unavailable']);
  });

  it('with ON_OUTAGE=allow a node stays ready and reports what it cannot promise', async () => {
    expect(before).toMatchObject({
      status: 200,
      database: 'ok',
      durability: expect.stringContaining('while the database is unavailable, uses are not recorded (ON_OUTAGE=allow)'),
    });
    await ask(allowing, good.key);
    expect(await readiness(allowing)).toEqual({
      status: 200,
      database: 'failing',
      durability: 'keys are accepted from the cache, and uses are not recorded (ON_OUTAGE=allow)',
    });
  });
});

it.each(WAYS)(
  'when the database is available again (%s), uses are recorded, and a key that another node revoked meanwhile is rejected at once',
  async (how) => {
    const revoked = await knownKey();
    const good = await knownKey();
    cable[how]();
    await ada.apiKeys.delete({ params: { id: revoked.id } });
    const usesBefore = await recordedUses(revoked.id);
    expect(await ask(allowing, revoked.key)).toBe('200 valid');
    await mend();
    expect(await ask(allowing, revoked.key)).toBe('401 revoked');
    expect(await recordedUses(revoked.id)).toBe(usesBefore);
    const [counted, recorded] = [await unrecorded(), await recordedUses(good.id)];
    expect(await ask(allowing, good.key)).toBe('200 valid');
    expect(await unrecorded()).toBe(counted);
    expect(await recordedUses(good.id)).toBe(recorded + 1);
  },
);

describe('with ON_OUTAGE=allow', () => {
  afterEach(mend);

  it('a key expires without the database', async () => {
    const { id, key } = await newKey();
    await sql.query(`UPDATE api_key SET expires_at = now() + interval '2500 milliseconds' WHERE id = $1`, [toUuid(id)]);
    expect(await ask(allowing, key)).toBe('200 valid');
    cable.cut();
    const expired = await eventually(
      () => ask(allowing, key),
      (response) => response !== '200 valid',
    );
    expect(expired).toBe('401 expired');
  });

  it('unrecorded uses are not charged', async () => {
    const { id, key } = await newKey();
    await sql.query('INSERT INTO credit (organization_id, balance, low_below) VALUES ($1, 1000, 0)', [
      toUuid(organizationId),
    ]);
    const balance = async () => {
      const { rows } = await sql.query<{ balance: number }>('SELECT balance::int AS balance FROM credit');
      return rows[0]!.balance;
    };
    await recordsAgain();
    expect(await ask(allowing, key, '?cost=2')).toBe('200 valid');
    const [charged, recorded] = [await balance(), await recordedUses(id)];
    cable.cut();
    for (let use = 0; use < 5; use++) expect(await ask(allowing, key, '?cost=2')).toBe('200 valid');
    expect(await balance()).toBe(charged);
    expect(await recordedUses(id)).toBe(recorded);
    await mend();
    await sql.query('UPDATE credit SET balance = 1');
    expect(await ask(allowing, key, '?cost=2')).toBe('402 insufficient_credits');
    await sql.query('UPDATE credit SET balance = 1000');
  });

  it('a use that an available PostgreSQL does not store is rejected', async () => {
    const { key } = await knownKey();
    const before = await unrecorded();
    const blocker = await sql.connect();
    await blocker.query('BEGIN; LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE');
    expect(await ask(allowing, key)).toBe('503 audit_unavailable');
    await blocker.query('ROLLBACK');
    blocker.release();
    expect(await unrecorded()).toBe(before);
  });

  it('the log reports an outage once, and its end once', async () => {
    const told = () => {
      const messages = allowing.output.split('\n').filter((line) => line.includes('"Outage"'));
      return messages.map((line) => (JSON.parse(line) as { msg: string }).msg.split(/[:,]/, 1)[0]);
    };
    const { key } = await knownKey();
    const before = told().length;
    cable.cut();
    for (let use = 0; use < 10; use++) await ask(allowing, key);
    await mend();
    const both = await eventually(
      async () => told().slice(before),
      (messages) => messages.length > 1,
    );
    expect(both).toEqual(['The database is unavailable', 'Uses are recorded again']);
  });
});
