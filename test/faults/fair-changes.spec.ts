import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { ApiError } from '#libs/client/client.js';
import { LOCKED } from '#libs/admission/advisory-locks.js';
import { toUuid } from '#libs/contract/ids.js';
import { shardOf } from '#libs/outbox/shard.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { rejection } from '../support/rejection.js';

/** A user who acts in an organization. */
type Tenant = Pick<Account, 'client' | 'organizationId'>;

let deployment: Deployment;
let ada: Account;
/** Owns all further tenants that the tests need. */
let eve: Account;
/** A tenant in the shard of Ada's organization. */
let neighbour: Tenant;
let operator: Account;
let shard: number;
const connections: pg.Client[] = [];

beforeAll(async () => {
  deployment = await startDeployment({ worker: false, env: { MAX_ORGANIZATIONS_PER_USER: '1000' } });
  operator = await deployment.operator();
  ada = await accountIn((its) => its !== 0);
  eve = await deployment.account();
  shard = shardOf(ada.organizationId);
  neighbour = await tenantIn((its) => its === shard);
});

afterEach(async () => {
  await Promise.all(connections.splice(0).map((connection) => connection.end()));
});

afterAll(() => deployment.stop());

/** An account whose organization is in a wanted shard. */
async function accountIn(isWanted: (shard: number) => boolean): Promise<Account> {
  for (;;) {
    const account = await deployment.account();
    if (isWanted(shardOf(account.organizationId))) return account;
  }
}

async function tenantIn(isWanted: (shard: number) => boolean): Promise<Tenant> {
  for (;;) {
    const { id } = await eve.client.organizations.create({ body: { name: 'Tenant' } });
    if (isWanted(shardOf(id))) return { client: eve.client, organizationId: id };
  }
}

/** Stands for a node of any version: opens a transaction, runs the statements and stays open. */
async function otherNode(...statements: string[]): Promise<pg.Client> {
  const connection = new pg.Client({ connectionString: deployment.database.adminUrl });
  await connection.connect();
  connections.push(connection);
  await connection.query('BEGIN');
  for (const statement of statements) await connection.query(statement);
  return connection;
}

const advisory = (mode: 'shared' | 'alone', of = shard) =>
  `SELECT pg_advisory_xact_lock${mode === 'shared' ? '_shared' : ''}(${LOCKED.shard}, ${of})`;
const shareRow = (of = shard) => `SELECT seq FROM authz_state WHERE shard = ${of} FOR SHARE`;
const moveRow = (of = shard) => `UPDATE authz_state SET seq = seq + 1, tag = tag + 1 WHERE shard = ${of}`;

/** The locks that the service's transactions wait for now. */
async function waits(): Promise<{ type: string; shard: number | null }[]> {
  const { rows } = await deployment.sql.query<{ type: string; shard: number | null }>(
    `SELECT l.locktype AS type, CASE l.locktype WHEN 'advisory' THEN l.objid::int END AS shard
     FROM pg_locks l JOIN pg_stat_activity a USING (pid)
     WHERE NOT l.granted AND a.application_name = 'keyledger_api transactions' AND a.datname = current_database()`,
  );
  return rows;
}

const waiting = (many: number) => eventually(waits, (all) => all.length === many);
const newKey = ({ client, organizationId }: Tenant = ada) =>
  client.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read'], organization_id: organizationId } });
const newProject = ({ client, organizationId }: Tenant = ada) =>
  client.projects.create({ body: { name: 'Subject', organization_id: organizationId } });
const revoke = (id: string, by: Pick<Tenant, 'client'> = ada) => by.client.apiKeys.revoke({ params: { id } });
const codeOf = (error: unknown) => (error instanceof ApiError ? error.problem.code : error);

describe('PostgreSQL', () => {
  it('grants advisory locks in the order of the requests, and shared row locks out of order', async () => {
    await otherNode(advisory('shared'), shareRow());
    const [alone, moving] = [await otherNode(), await otherNode()];
    const waitsAlone = alone.query(advisory('alone'));
    const moves = moving.query(moveRow());
    const notGranted = async () => (await deployment.sql.query('SELECT FROM pg_locks WHERE NOT granted')).rowCount;
    await eventually(notGranted, (count) => count === 2);
    await (await otherNode()).query(shareRow());
    const late = (await otherNode("SET LOCAL lock_timeout = '100ms'")).query(advisory('shared'));
    await expect(late).rejects.toMatchObject({ code: '55P03' });
    // The UPDATE waits for each row lock that was granted after its request, so these locks have to end, too.
    await Promise.all(connections.filter((one) => one !== alone && one !== moving).map((one) => one.query('ROLLBACK')));
    await Promise.all([waitsAlone, moves]);
  });
});

describe('a change that ends decisions', () => {
  it('is not overtaken by later changes', async () => {
    const { id } = await newKey();
    const creation = await otherNode(advisory('shared'), shareRow());
    const order: string[] = [];
    const revocation = revoke(id).then(() => order.push('revocation'));
    await waiting(1);
    const creations = [newProject(), newProject(neighbour)].map((project) =>
      project.then(() => order.push('creation')),
    );
    expect(await waiting(3)).toEqual(Array.from({ length: 3 }, () => ({ type: 'advisory', shard })));
    expect(order).toEqual([]);
    await creation.query('COMMIT');
    await Promise.all([revocation, ...creations]);
    expect(order).toEqual(['revocation', 'creation', 'creation']);
  });

  it('and one of an older node with row locks wait for each other', async () => {
    const { id } = await newKey();
    const older = await otherNode(shareRow());
    let isDone = false;
    const revocation = revoke(id).then(() => (isDone = true));
    await waiting(1);
    await sleep(100);
    expect(isDone).toBe(false);
    await older.query('COMMIT');
    await revocation;

    const moving = await otherNode(moveRow());
    const { rows } = await moving.query<{ seq: number }>(`SELECT seq::int FROM authz_state WHERE shard = ${shard}`);
    const created = newKey();
    await waiting(1);
    await moving.query('COMMIT');
    const key = await created;
    const entries = await deployment.sql.query<{ body: Buffer }>('SELECT body FROM outbox ORDER BY created_at');
    const text = entries.rows.map(({ body }) => body.toString('latin1')).find((body) => body.includes(key.id))!;
    expect(text).toContain(`"seq":${rows[0]!.seq}`);
  });

  it('blocks the reads of an older node with row locks until it has committed', async () => {
    const { id } = await newKey();
    const before = await deployment.sql.query<{ seq: number }>(
      `SELECT seq::int FROM authz_state WHERE shard = ${shard}`,
    );
    const blocker = await otherNode(`SELECT FROM api_key WHERE id = '${toUuid(id)}' FOR UPDATE`);
    const revocation = revoke(id);
    await waiting(1);
    const older = await otherNode();
    const read = older.query<{ seq: number; revoked: boolean }>(shareRow());
    await sleep(100);
    await blocker.query('COMMIT');
    expect((await read).rows[0]!.seq).toEqual(String(before.rows[0]!.seq + 1));
    await revocation;
    const { rows } = await older.query(
      `SELECT revoked_at IS NOT NULL AS revoked FROM api_key WHERE id = '${toUuid(id)}'`,
    );
    expect(rows).toEqual([{ revoked: true }]);
  });
});

describe('a change that waits for a lock', () => {
  it('gets 503 with Retry-After after a timeout, and has changed nothing', async () => {
    const { total } = await ada.client.projects.list();
    await otherNode(advisory('alone'));
    const refused = await rejection(newProject());
    expect([refused.problem.status, refused.problem.code]).toEqual([503, 'overloaded']);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await waits()).toEqual([]);
    await connections.at(-1)!.query('ROLLBACK');
    expect((await ada.client.projects.list()).total).toBe(total);
    await newProject();
  });

  it('is one of few from its sender, in all organizations, so that others have connections', async () => {
    const other = await accountIn((its) => its !== shard);
    const key = await newKey();
    const second = await ada.client.organizations.create({ body: { name: 'Second' } });
    const lock = await otherNode(advisory('alone'), moveRow());
    const send = (organizationId: string) =>
      ada.client.projects
        .create({ body: { name: 'Flood', organization_id: organizationId } })
        .then(() => 'done', codeOf);
    const flood = [send(ada.organizationId)];
    await waiting(1);
    flood.push(...Array.from({ length: 49 }, (_, n) => send(n % 2 ? second.id : ada.organizationId)));
    // The flood of one user delays no other requests: changes, sign-ins and reads work as usual.
    await newKey(other);
    await other.client.auth.logout();
    const { email, password } = other;
    await deployment.client().auth.login({ body: { email, password } });
    await ada.client.projects.list();
    // A change that takes authority away waits for the lock only, not behind the flood.
    const revocation = revoke(key.id);
    expect(await waiting(2)).toHaveLength(2);
    await lock.query('ROLLBACK');
    await revocation;
    // One change runs and 32 wait. The API rejects the rest.
    expect((await Promise.all(flood)).filter((outcome) => outcome === 'rate_limited')).toHaveLength(17);
  });

  it('leaves places for changes that remove authority, for every user, even if one user sends many of them', async () => {
    const [key, ...keys] = await Promise.all(Array.from({ length: 6 }, () => newKey()));
    const { key: manager } = await ada.client.apiKeys.create({ body: { name: 'Leaked', scopes: ['api-keys:*'] } });
    const leaked = deployment.client({ apiKey: manager });
    const lock = await otherNode(advisory('alone'), moveRow());
    const flood = keys.map(({ id }) => leaked.apiKeys.disable({ params: { id } }));
    await waiting(1);
    const revocation = revoke(key!.id);
    expect(await waiting(2)).toHaveLength(2);
    await lock.query('ROLLBACK');
    await Promise.all([revocation, ...flood]);
  });
});

describe('the end of a session', () => {
  const share = (sessionId: string) => `SELECT FROM session WHERE id = '${toUuid(sessionId)}' FOR SHARE`;

  async function stolenSession() {
    const { email, password } = ada;
    const tokens = await deployment.client().auth.login({ body: { email, password } });
    const client = deployment.client({ accessToken: tokens.access_token });
    const { data } = await client.auth.listSessions();
    return { client, organizationId: ada.organizationId, id: data[0]!.id };
  }

  it.each([
    ['by another session', (id: string) => ada.client.auth.endSession({ params: { id } })],
    [
      'by a new password',
      async () => {
        const body = { current_password: ada.password, new_password: ada.password };
        await ada.client.auth.changePassword({ body });
      },
    ],
  ])('%s is not overtaken by changes of that session', async (_, end) => {
    const stolen = await stolenSession();
    const change = await otherNode(share(stolen.id));
    const ended = end(stolen.id);
    await waiting(1);
    // If this change ran before the end of the session, it would succeed.
    const late = newProject(stolen).then(() => 'made', codeOf);
    expect(await waiting(2)).toHaveLength(2);
    await change.query('COMMIT');
    await ended;
    expect(await late).toBe('invalid_token');
  });

  it('does not wait for a repeated response', async () => {
    const stolen = await stolenSession();
    const body = { name: 'Repeated' };
    const headers = { 'idempotency-key': 'repeated' };
    const { id } = await stolen.client.projects.create({ body, headers });
    // If the repetition locked the session as a change does, it would wait for this lock.
    await otherNode(`SELECT FROM session WHERE id = '${toUuid(stolen.id)}' FOR UPDATE`);
    expect((await stolen.client.projects.create({ body, headers })).id).toBe(id);
  });
});

describe("an operator's change", () => {
  const suspend = (id: string) => operator.client.deployment.suspendOrganization({ params: { id }, body: {} });

  it('does not wait for organizations in the shard of the deployment', async () => {
    const bob = await tenantIn((its) => its !== 0);
    await otherNode(advisory('alone', 0), moveRow(0));
    expect(await suspend(bob.organizationId)).toMatchObject({ status: 'suspended' });
  });

  it('does not block them while it waits elsewhere', async () => {
    const bob = await tenantIn((its) => its !== 0);
    const inShard0 = await tenantIn((its) => its === 0);
    const lock = await otherNode(advisory('alone', shardOf(bob.organizationId)), moveRow(shardOf(bob.organizationId)));
    const suspension = suspend(bob.organizationId);
    await waiting(1);
    const { id } = await newKey(inShard0);
    expect((await revoke(id, inShard0)).status).toBe('revoked');
    await lock.query('ROLLBACK');
    await suspension;
  });
});
