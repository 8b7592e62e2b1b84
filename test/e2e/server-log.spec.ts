import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { allRoutes } from '#libs/contract/routes.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { startOwnServer, type OwnServer } from '../support/own-server.js';

let server: OwnServer;
let deployment: Deployment;
let operator: Account;
let owner: Account;
let organizationId: string;
let keyId: string;

/** Values that must not be in the log, by description. */
const planted = new Map<string, string>();

function plant(what: string): string {
  const value = `zq${randomBytes(10).toString('hex')}`;
  planted.set(what, value);
  return value;
}

const email = (what: string) => `${plant(what)}@example.com`;

beforeAll(async () => {
  server = await startOwnServer();
  deployment = await startDeployment({ server });
  operator = await deployment.operator();
  owner = await deployment.account();
  ({ id: organizationId } = await owner.client.organizations.create({ body: { name: plant('an organization') } }));
  ({ id: keyId } = await owner.client.apiKeys.create({
    body: { name: plant('a key'), scopes: ['triggers:read', 'api-keys:verify'], organization_id: organizationId },
  }));
});

afterAll(async () => {
  await deployment.stop();
  await server.stop();
});

/** Other routes refuse the header, and their calls would not reach the database. */
function isRepeatable(method: string, path: string): boolean {
  return allRoutes().some(
    ({ route }) =>
      route.idempotent &&
      route.method === method &&
      new RegExp(`^${route.path.replace(/:\w+/g, '[^/]+')}$`).test(path.split('?', 1)[0]!),
  );
}

async function send(method: string, path: string, body?: unknown, token = owner.accessToken): Promise<number> {
  const response = await fetch(deployment.url + path, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      'user-agent': plant(`the client of ${method} ${path}`),
      ...(isRepeatable(method, path) && {
        'idempotency-key': plant(`the idempotency key of ${method} ${path}`),
      }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  await response.arrayBuffer();
  return response.status;
}

type Call = [method: string, path: string, body?: unknown, token?: string];

/** Calls that write or search user input; each may fail. */
async function callAll(when: string): Promise<void> {
  const of = (what: string) => plant(`${what}, ${when}`);
  const password = () => `${of('a password')} quay`;
  const taken = { email: email(`a taken address, ${when}`), password: password(), name: of('a name') };
  const organization = `/api/v1/organizations/${organizationId}`;
  const key = `/api/v1/api-keys/${keyId}`;
  const byOperator = `/api/v1/deployment/organizations/${organizationId}`;
  await send('POST', '/api/v1/auth/register', taken);
  const calls: Call[] = [
    ['POST', '/api/v1/auth/register', { ...taken, name: of('another name') }],
    ['POST', '/api/v1/auth/login', { email: taken.email, password: taken.password }],
    ['POST', '/api/v1/auth/login', { email: taken.email, password: password() }],
    ['POST', '/api/v1/auth/login', { email: email(`an unknown address, ${when}`), password: password() }],
    ['POST', '/api/v1/auth/refresh', { refresh_token: `rt_${of('a refresh token').padEnd(43, 'x')}` }],
    ['POST', '/api/v1/auth/password', { current_password: owner.password, new_password: owner.password }],
    ['POST', `${organization}/invitations`, { role: 'viewer', email: email(`an invited address, ${when}`) }],
    ['PATCH', organization, { name: of('the name of an organization') }],
    ['POST', '/api/v1/projects', { organization_id: organizationId, name: of('the name of a project') }],
    [
      'POST',
      '/api/v1/api-keys',
      {
        organization_id: organizationId,
        name: of('the name of a key'),
        description: of('a description'),
        external_id: of('an external id'),
        metadata: { note: of('metadata') },
        scopes: ['triggers:read'],
      },
    ],
    ['PATCH', key, { name: of('another name of a key'), description: of('another description') }],
    ['POST', `${key}/rotate`],
    ['GET', `/api/v1/api-keys?search=${of('what is looked for')}`],
    ['GET', `/api/v1/api-keys?external_id=${of('an external id looked for')}`],
    ['GET', `/api/v1/audit/events?organization_id=${organizationId}&subject=${of('a subject looked for')}`],
    [
      'GET',
      `/api/v1/deployment/organizations?search=${of('an organization looked for')}`,
      undefined,
      operator.accessToken,
    ],
    [
      'POST',
      '/api/v1/deployment/operators/invitations',
      { email: email(`an operator, ${when}`) },
      operator.accessToken,
    ],
    ['POST', '/api/v1/deployment/password-resets', { email: taken.email }, operator.accessToken],
    ['POST', `${byOperator}/credits`, { amount: 100, reason: of('a reason') }, operator.accessToken],
  ];
  await sendAll(calls);
  const suspension: Call[] = [
    ['POST', `${byOperator}/suspend`, { reason: of('the reason of a suspension') }, operator.accessToken],
    ['POST', `${byOperator}/resume`, undefined, operator.accessToken],
  ];
  for (const call of suspension) await send(...call);
}

/**
 * Columns that are renamed for a while, so that every statement on their tables fails. A call ends with its first
 * failure, so no call executes two statements of the same group.
 */
const HIDDEN: Record<string, string>[] = [
  { user_account: 'name' },
  { login_delay: 'failures', refresh_token: 'salt', organization: 'name' },
  {
    session: 'user_agent',
    invitation: 'email',
    password_reset: 'created_by',
    project: 'name',
    api_key: 'description',
    credit_grant: 'reason',
  },
  { api_key_secret: 'hash' },
  { outbox: 'body', idempotency_key: 'response' },
];

async function withoutColumns(columns: Record<string, string>, work: () => Promise<void>): Promise<void> {
  const tables = Object.entries(columns);
  for (const [table, column] of tables)
    await deployment.sql.query(`ALTER TABLE ${table} RENAME COLUMN ${column} TO hidden`);
  try {
    await work();
  } finally {
    for (const [table, column] of tables)
      await deployment.sql.query(`ALTER TABLE ${table} RENAME COLUMN hidden TO ${column}`);
  }
}

/** Sets server settings, and renews the API's connections so that they apply. */
async function withSettings(settings: Record<string, string>, work: () => Promise<void>): Promise<void> {
  const { sql, database } = deployment;
  const renew = async () => {
    await sql.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND usename = 'keyledger_test_api'`,
      [database.name],
    );
    await eventually(
      () => send('GET', '/api/v1/organizations'),
      (status) => status === 200,
    );
  };
  for (const [name, value] of Object.entries(settings))
    await sql.query(`ALTER DATABASE ${database.name} SET ${name} = '${value}'`);
  await renew();
  try {
    await work();
  } finally {
    for (const name of Object.keys(settings)) await sql.query(`ALTER DATABASE ${database.name} RESET ${name}`);
    await renew();
  }
}

/** Holds the rows that a change of a key or an organization, and a sign-in, must lock. */
async function whileHeld(work: (release: () => Promise<void>) => Promise<void>): Promise<void> {
  const holder = await deployment.sql.connect();
  await holder.query('BEGIN');
  await holder.query('SELECT FROM user_account FOR UPDATE');
  await holder.query('SELECT FROM api_key FOR UPDATE');
  await holder.query('SELECT FROM organization FOR UPDATE');
  let held = true;
  const release = async () => {
    if (held) await holder.query('ROLLBACK');
    held = false;
  };
  try {
    await work(release);
  } finally {
    await release();
    holder.release();
  }
}

const changesThatWait = (): Call[] => [
  ['PATCH', `/api/v1/api-keys/${keyId}`, { description: plant('a description that waits') }],
  ['PATCH', `/api/v1/organizations/${organizationId}`, { name: plant('a name that waits') }],
  ['POST', '/api/v1/auth/login', { email: owner.email, password: owner.password }],
];
const sendAll = (calls: readonly Call[]) => Promise.all(calls.map((call) => send(...call)));

async function waitingBackends(): Promise<number[]> {
  const { rows } = await deployment.sql.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity
     WHERE datname = $1 AND usename = 'keyledger_test_api' AND wait_event_type = 'Lock'`,
    [deployment.database.name],
  );
  return rows.map(({ pid }) => pid);
}

/**
 * Causes a deadlock: the change holds its shard's authorization state and waits for the row; the holder of the row
 * waits for the state.
 */
async function deadlock(): Promise<void> {
  const { sql } = deployment;
  const holder = await sql.connect();
  await holder.query('BEGIN');
  await holder.query('SELECT FROM organization FOR UPDATE');
  const changed = send('PATCH', `/api/v1/organizations/${organizationId}`, { name: plant('a name in a deadlock') });
  await eventually(waitingBackends, (pids) => pids.length > 0);
  // PostgreSQL may end either of the two.
  await holder.query('LOCK TABLE authz_state IN ACCESS EXCLUSIVE MODE').catch(() => undefined);
  await holder.query('ROLLBACK');
  holder.release();
  await changed;
}

function leaksIn(log: string): string[] {
  const forms = (value: string): string[] => [value, Buffer.from(value).toString('hex')];
  const leaks = [...planted]
    .filter(([, value]) => forms(value).some((form) => log.includes(form)))
    .map(([what]) => what);
  return log.includes('$argon2id$') ? [...leaks, 'a hash of a password or key'] : leaks;
}

it('typed text and hashes of secrets are not in the log of PostgreSQL, whatever fails', async () => {
  await callAll('as it should be');
  const [taken, name] = [email('an address that two want at once'), plant('the name of two at once')];
  const two = Array.from({ length: 2 }, () =>
    send('POST', '/api/v1/auth/register', { email: taken, name, password: `${name} of the quay` }),
  );
  expect((await Promise.all(two)).toSorted((a, b) => a - b)).toEqual([201, 409]);

  for (const columns of HIDDEN) await withoutColumns(columns, () => callAll(`without ${JSON.stringify(columns)}`));

  // One after the other, each waits for the 5 seconds of its own lock timeout.
  await whileHeld(async () => void (await sendAll(changesThatWait())));
  await withSettings({ statement_timeout: '300ms' }, () =>
    whileHeld(async () => void (await sendAll(changesThatWait()))),
  );
  await whileHeld(async (release) => {
    const changed = sendAll(changesThatWait());
    for (const pid of await eventually(waitingBackends, (pids) => pids.length > 0))
      await deployment.sql.query('SELECT pg_cancel_backend($1)', [pid]);
    await sleep(100);
    await release();
    await changed;
  });
  await deadlock();

  const log = await server.log();
  // Proves that the search works.
  for (const sign of [
    'insert into "user_account"',
    'insert into "api_key_secret"',
    'canceling statement due to lock timeout',
    'canceling statement due to statement timeout',
    'canceling statement due to user request',
    'deadlock detected',
    'INSERT INTO outbox',
  ])
    expect(log).toContain(sign);
  expect(leaksIn(log)).toEqual([]);
}, 300_000);

it('if the server logs every statement, the log has no values with the settings of npm start', async () => {
  await withSettings({ log_statement: 'all', log_min_duration_statement: '0' }, () => callAll('with all logged'));
  const log = await server.log();
  expect(log).toContain('execute <unnamed>: insert into "user_account"');
  expect(leaksIn(log)).toEqual([]);
});

it('if another server logs values, they are only in the lines for parameters', async () => {
  const before = (await server.log()).length;
  await withSettings(
    { log_statement: 'all', log_parameter_max_length: '-1', log_parameter_max_length_on_error: '-1' },
    async () => {
      await callAll('with parameters');
      await withoutColumns({ user_account: 'name' }, () => callAll('with parameters of what fails'));
    },
  );
  const entries = (await server.log()).slice(before).split(/^(?=\d{4}-)/m);
  const parameters = entries.filter((entry) => / DETAIL: {2}Parameters: /.test(entry.slice(0, 200)));
  expect(leaksIn(parameters.join('')).length).toBeGreaterThan(0);
  expect(leaksIn(entries.filter((entry) => !parameters.includes(entry)).join(''))).toEqual([]);
});
