import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import pLimit from 'p-limit';
import type pg from 'pg';
import { generateToken } from '#libs/api-key-format/token.js';
import { createClient } from '#libs/client/client.js';
import { survivingPool } from '#libs/database/database.js';
import { newOperatorLink } from '../../apps/cli/operator-link.js';
import { createCable } from '../support/cable.js';
import { createDatabase, type TestDatabase } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { eventually } from '../support/eventually.js';
import { failedStartOf } from '../support/failed-start.js';
import { receiveTraces, startWatched, type TraceReceiver, type WatchedProcess } from '../support/watched-processes.js';
import { storedEntries } from '../support/audit-log.js';

/** Secrets that must not appear in any output, by description. */
const secrets = new Map<string, string>();

/** The form of planted secrets: one search finds all of them. */
const PLANTED = /^Zq[0-9a-f]{24}$/;
const ALL_PLANTED = new RegExp(PLANTED.source.slice(1, -1), 'g');

/** Creates a random value that is a secret only by its place. */
function plant(what: string): string {
  const secret = `Zq${randomBytes(12).toString('hex')}`;
  secrets.set(what, secret);
  return secret;
}

/** Remembers a secret that the service created. Its beginning may be shown. */
function keep(what: string, token: string): string {
  secrets.set(what, token.slice(-20));
  return token;
}

const serverSecret = plant('KEYLEDGER_SECRET').padEnd(40, '-');
let database: TestDatabase;
let sql: pg.Pool;
let cable: Awaited<ReturnType<typeof createCable>>;
let receiver: TraceReceiver;
let api: WatchedProcess;
let worker: WatchedProcess;
const logins: string[] = [];
/** Everything that was output, by place. */
const found: [place: string, content: string][] = [];

/** Creates a separate login, because its password is one of the secrets. */
async function databaseUrl(role: 'api' | 'worker'): Promise<string> {
  const url = new URL(database.adminUrl);
  url.username = `secrets_${role}_${randomBytes(6).toString('hex')}`;
  url.password = plant(`the password in the DATABASE_URL of the ${role}`);
  await sql.query(`CREATE ROLE ${url.username} LOGIN PASSWORD '${url.password}' IN ROLE keyledger_${role}`);
  logins.push(url.username);
  url.port = String(cable.port);
  return url.href;
}

beforeAll(async () => {
  database = await createDatabase();
  sql = survivingPool({ connectionString: database.adminUrl });
  cable = await createCable(new URL(database.adminUrl));
  receiver = await receiveTraces();
  const env = {
    LOG_LEVEL: 'trace',
    TRUST_PROXY: 'loopback',
    KEYLEDGER_SECRET: serverSecret,
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=${plant('the token of the receiver of traces')}`,
  };
  [api, worker] = await Promise.all([
    startWatched('api', { ...env, DATABASE_URL: await databaseUrl('api') }),
    startWatched('worker', { ...env, DATABASE_URL: await databaseUrl('worker') }),
  ]);
});

afterAll(async () => {
  await Promise.all([api.stop(), worker.stop()]);
  await Promise.all([receiver.close(), cable.close()]);
  for (const login of logins) await sql.query(`DROP ROLE ${login}`);
  await sql.end();
  await database.drop();
});

interface Asked {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly json?: unknown;
}

/** Sends a request, and keeps the response if it is a rejection: successful responses may contain the secret. */
async function ask(path: string, { json, ...rest }: Asked = {}): Promise<Response> {
  const headers = { ...(json !== undefined && { 'content-type': 'application/json' }), ...rest.headers };
  const body = json === undefined ? rest.body : JSON.stringify(json);
  const response = await fetch(`${api.url}${path}`, { redirect: 'manual', ...rest, headers, ...(body && { body }) });
  const content = JSON.stringify([...response.headers]) + (await response.clone().text());
  if (!response.ok)
    found.push([
      `the response ${response.status} to ${rest.method ?? 'GET'} ${path.split(/[?/]/, 4).join('/')}`,
      content,
    ]);
  return response;
}

const post = (path: string, json: unknown, headers: Record<string, string> = {}) =>
  ask(path, { method: 'POST', json, headers });

/** Sends a request that `fetch` would not send. */
async function askRaw(request: string): Promise<void> {
  const { hostname, port } = new URL(api.url);
  const socket = connect(Number(port), hostname);
  socket.end(request);
  found.push(['the response to what is no HTTP', await text(socket)]);
}

it('no secret appears in any output, whatever fails', async () => {
  const password = plant('a password');
  const account = { email: 'ada@example.com', password };
  const anonymous = createClient({ baseUrl: api.url });
  await anonymous.auth.register({ body: { ...account, name: 'Ada' } });
  const tokens = await anonymous.auth.login({ body: account });
  const accessToken = keep('an access token', tokens.access_token);
  const refreshToken = keep('a refresh token', tokens.refresh_token!);
  const user = { authorization: `Bearer ${accessToken}` };
  const ada = createClient({ baseUrl: api.url, accessToken });
  const { id, key: created } = await ada.apiKeys.create({
    body: { name: 'Used', scopes: ['triggers:read', 'api-keys:verify', 'organizations:read'] },
    headers: { 'idempotency-key': 'once' },
  });
  const key = keep('the secret of a key', created!);
  const unknown = keep('a key of nobody', generateToken('sk_live'));
  const organization = await ada.organizations.create({ body: { name: 'Engines' } });
  const invitation = await ada.invitations.create({ params: { id: organization.id }, body: { role: 'viewer' } });
  const invitationToken = keep('an invitation', invitation.token);
  const { token: operatorToken } = await newOperatorLink(database.apiUrl, 'http://keyledger.test', null);
  keep('an invitation to the operators', operatorToken);
  const operator = { email: 'op@example.com', password: plant("an operator's password") };
  await anonymous.auth.register({ body: { ...operator, name: 'Op', invitation_token: operatorToken } });
  const op = await anonymous.auth.login({ body: operator });
  keep("an operator's access token", op.access_token);
  keep("an operator's refresh token", op.refresh_token!);
  const reset = await post(
    '/api/v1/deployment/password-resets',
    { email: account.email },
    { authorization: `Bearer ${op.access_token}` },
  );
  const resetToken = keep('the token of a reset', ((await reset.json()) as { token: string }).token);

  const ours = { key, unknown, accessToken, refreshToken, invitationToken, resetToken };
  const goesWrong = async (when: string) => {
    const sent: Promise<unknown>[] = [];
    const limit = pLimit(8);
    const send = (...asked: Parameters<typeof ask>) => sent.push(limit(() => ask(...asked)));
    const sendJson = (...asked: Parameters<typeof post>) => sent.push(limit(() => post(...asked)));
    const sendRaw = (request: string) => sent.push(limit(() => askRaw(request)));
    // Credentials in their proper places: valid, invalid and malformed.
    const basic = plant(`a password of Basic, ${when}`);
    secrets.set(`the same, encoded, ${when}`, Buffer.from(`ada:${basic}`).toString('base64').slice(4, -4));
    const authorizations = [
      `Bearer ${key}`,
      `bearer  ${unknown}`,
      `Bearer ${key}:${unknown}`,
      `Bearer ${key} ${plant(`what follows a key, ${when}`)}`,
      `Bearer "${plant(`a quoted bearer, ${when}`)}"`,
      `Token ${plant(`a token of another scheme, ${when}`)}`,
      plant(`a scheme, ${when}`),
      `Basic ${Buffer.from(`ada:${basic}`).toString('base64')}`,
      `Bearer ${accessToken.slice(0, -5)}${plant(`a bad signature, ${when}`)}`,
      `Bearer eyJhbGciOiJub25lIn0.${Buffer.from(JSON.stringify({ sub: plant(`a forged subject, ${when}`) })).toString('base64url')}.`,
      `Bearer ${refreshToken}`,
    ];
    for (const path of ['/api/v1/whoami', '/authz', '/authz/some/path', '/nowhere']) {
      for (const authorization of authorizations) send(path, { headers: { authorization } });
      send(path, { headers: { 'x-api-key': key, authorization: `Bearer ${unknown}` } });
      for (const value of [key, unknown, plant(`an X-API-Key, ${when}, ${path}`)])
        send(path, { headers: { 'x-api-key': value } });
    }
    // Credentials in wrong places.
    const callers: Record<string, string>[] = [{}, { 'x-api-key': key }, user];
    const query = Object.entries(ours)
      .map(([name, value]) => `${name}=${value}`)
      .join('&');
    const other = plant(`a parameter of a query, ${when}`);
    for (const path of [
      '/api/v1/whoami',
      '/api/v1/api-keys',
      '/authz',
      '/authz/x',
      '/nowhere',
      '/health/ready',
      '/docs',
      '/problems/x',
    ])
      for (const headers of callers) send(`${path}?token=${other}&${query}#${other}`, { headers });
    for (const value of Object.values(ours)) {
      for (const path of [
        '',
        '/authz',
        '/api/v1/api-keys',
        '/api/v1/organizations',
        '/problems',
        '/tlog',
        '/api/v1/invitations',
      ])
        for (const headers of callers) send(`${path}/${value}/x`, { headers });
      const headers = {
        'user-agent': `client/1 (${value})`,
        'x-request-id': value,
        origin: `https://${value}.example.com`,
        referer: `https://a.example/?t=${other}`,
        cookie: `refresh_token=${value}; other=${other}`,
      };
      send('/api/v1/whoami', { headers: { ...headers, 'x-api-key': key } });
      send('/api/v1/api-keys/x', { headers: { ...headers, ...user } });
      send('/authz?scope=events:read', { headers: { ...headers, 'x-api-key': key } });
      sendJson('/api/v1/auth/refresh', undefined, headers);
      const original = {
        'x-forwarded-method': 'GET',
        'x-forwarded-uri': `/v1/items/${value}?token=${other}&k=${value}`,
        'x-forwarded-host': `${value}.example`,
      };
      for (const scope of ['triggers:read', 'events:read']) {
        send(`/authz?scope=${scope}`, { headers: { ...original, 'x-api-key': key } });
        send(`/authz/v1/${value}?token=${other}`, { headers: { 'x-authz-scope': scope, 'x-api-key': key } });
        send('/authz', {
          headers: {
            'x-original-url': `https://ada:${other}@api.example/${value}?token=${other}`,
            'x-authz-scope': scope,
            'x-api-key': key,
          },
        });
      }
      const request = { method: 'GET', path: `/v1/${value}?token=${other}`, user_agent: value };
      for (const asked of [key, unknown, other]) {
        sendJson('/api/v1/api-keys/verify', { key: asked, request, scopes: ['events:read'] }, { 'x-api-key': key });
        sendJson(
          '/api/v1/api-keys/verify',
          { key: asked, request: { ...request, ip: value }, cost: value },
          { 'x-api-key': key },
        );
      }
    }
    // Valid and invalid bodies.
    const bodies: [string, Record<string, unknown>][] = [
      [
        '/api/v1/auth/register',
        { email: 'b@example.com', password: plant(`of a registration, ${when}`), name: 'with a \u0000' },
      ],
      [
        '/api/v1/auth/register',
        { email: 'ada@example.com', password: plant(`of another registration, ${when}`), name: 'Ada' },
      ],
      [
        '/api/v1/auth/register',
        { email: plant(`in the place of an address, ${when}`), password: plant(`beside it, ${when}`), name: 1 },
      ],
      [
        '/api/v1/auth/register',
        {
          email: 'c@example.com',
          password: plant(`with a bad invitation, ${when}`),
          name: 'C',
          invitation_token: plant(`a bad invitation, ${when}`),
        },
      ],
      ['/api/v1/auth/login', { email: 'ada@example.com', password: plant(`a wrong password, ${when}`) }],
      ['/api/v1/auth/login', { email: 'nobody@example.com', password: plant(`of nobody, ${when}`) }],
      [
        '/api/v1/auth/login',
        {
          email: 'ada@example.com',
          password: [plant(`a password in a list, ${when}`)],
          unknown: plant(`a field that nobody knows, ${when}`),
        },
      ],
      ['/auth/login', { email: 'ada@example.com', password: plant(`a wrong password of a dialect, ${when}`) }],
      ['/api/v1/auth/refresh', { refresh_token: plant(`a bad refresh token, ${when}`) }],
      ['/api/v1/auth/password/reset', { token: plant(`a bad reset, ${when}`), password: plant(`a new one, ${when}`) }],
      ['/api/v1/invitations/describe', { token: plant(`a bad invitation to read, ${when}`) }],
      ['/api/v1/invitations/accept', { token: plant(`a bad invitation to accept, ${when}`) }],
      [
        '/api/v1/auth/password',
        { current_password: plant(`a wrong present one, ${when}`), new_password: plant(`a future one, ${when}`) },
      ],
    ];
    for (const [path, body] of bodies) {
      for (const method of path === '/api/v1/auth/password' ? ['POST', 'PUT', 'PATCH'] : ['POST'])
        send(path, { method, json: body, headers: user });
      send(path, {
        method: 'POST',
        body: `{"password": "${plant(`in bad JSON of ${path}, ${when}`)}", "key": ${key}`,
        headers: { 'content-type': 'application/json' },
      });
      send(path, {
        method: 'POST',
        body: `password=${plant(`in a form to ${path}, ${when}`)}`,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      });
    }
    send('/api/v1/auth/login', {
      method: 'POST',
      body: JSON.stringify({ password: plant(`in what is too large, ${when}`).padEnd(70_000) }),
      headers: { 'content-type': 'application/json' },
    });
    sendRaw(`GET /?a=${plant(`of no HTTP, ${when}`)} HTTP/9\r\nX-API-Key: ${key}\r\n\r\n`);
    sendRaw(
      `GET /api/v1/${plant(`in a path that is none, ${when}`).slice(0, 2)}%zz?t=${key} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: ${key}\r\n\r\n`,
    );
    await Promise.all(sent);
  };

  await goesWrong('with all there is');
  cable.cut();
  await goesWrong('without a database');
  cable.mend();
  await eventually(
    () => ask('/health/ready'),
    ({ status }) => status === 200,
  );
  await goesWrong('with a database again');
  await sql.query('ALTER TABLE api_key RENAME COLUMN name TO hidden');
  await sql.query('ALTER TABLE user_account RENAME COLUMN email TO hidden');
  await goesWrong('with a database of another shape');
  await sql.query('ALTER TABLE api_key RENAME COLUMN hidden TO name');
  await sql.query('ALTER TABLE user_account RENAME COLUMN hidden TO email');
  await ask(`/api/v1/api-keys/${id}`, { headers: user });

  await allIngested({ sql });
  for (const [name, table] of await everyTable()) found.push([`the table ${name}`, table]);
  // The tables have compressed entries.
  const entries = await storedEntries(sql);
  found.push(['the audit log', entries.map(({ entry }) => entry.toString()).join('\n')]);
  found.push(['the metrics of the API', await api.metrics()], ['the metrics of the worker', await worker.metrics()]);
  expect(await Promise.all([api.stop(), worker.stop()])).toEqual([0, 0]);
  found.push(['the output of the API', api.output], ['the output of the worker', worker.output]);
  found.push(...receiver.received.map((body): [string, string] => ['the traces', body.toString('latin1')]));

  // Proves that the search works.
  expect(found.some(([place, content]) => place === 'the audit log' && content.includes(`${key.slice(0, 14)}…`))).toBe(
    true,
  );
  expect(api.output).toContain('failed (req_');
  expect(receiver.received.length).toBeGreaterThan(0);
  expectNoLeak();
}, 240_000);

/** One of each kind: by the database, and by a setting. */
const REFUSED_AS_PROCESSES = new Set(['a database that is not there', 'a short secret']);

it.each<[string, Record<string, string>]>([
  [
    'a database that is not there',
    { DATABASE_URL: `postgres://ada:${plant('of a database that is not there')}@127.0.0.1:1/keyledger` },
  ],
  [
    'an unknown host',
    { DATABASE_URL: `postgres://ada:${plant('of an unknown database')}@no-such-host.invalid/keyledger` },
  ],
  ['another kind of database', { DATABASE_URL: `mysql://ada:${plant('of another database')}@127.0.0.1/keyledger` }],
  ['an invalid address', { DATABASE_URL: `postgres://ada:${plant('of no database')}@127.0.0.1:port/keyledger` }],
  ['another kind of queue', { REDIS_URL: `http://ada:${plant('of another queue')}@127.0.0.1/` }],
  ['a short secret', { KEYLEDGER_SECRET: plant('a short KEYLEDGER_SECRET') }],
  ['a bad receiver', { OTEL_EXPORTER_OTLP_ENDPOINT: `grpc://ada:${plant('of a bad receiver')}@127.0.0.1` }],
])('the start fails without revealing a secret: %s', async (what, env) => {
  for (const app of ['api', 'worker'] as const) {
    const all = { LOG_LEVEL: 'trace', KEYLEDGER_SECRET: serverSecret, DATABASE_URL: database.apiUrl, ...env };
    const { said, code } = await (REFUSED_AS_PROCESSES.has(what) ? startRefused(app, all) : failedStartOf(app, all));
    expect(code).not.toBe(0);
    expect(said).not.toBe('');
    found.push([`what the ${app} says`, said]);
  }
  expectNoLeak();
});

async function startRefused(app: 'api' | 'worker', env: Record<string, string>) {
  const refused = await startWatched(app, env);
  return { code: await refused.stop(), said: refused.output };
}

it('an unreachable queue or trace receiver is logged without its credentials', async () => {
  const redis = plant('the password of an unknown Redis');
  const token = plant('the token of a receiver that refuses');
  const refusing = await receiveTraces(401);
  const env = {
    LOG_LEVEL: 'trace',
    KEYLEDGER_SECRET: serverSecret,
    REDIS_URL: `redis://ada:${redis}@no-such-host.invalid:6379`,
    OTEL_EXPORTER_OTLP_ENDPOINT: refusing.url.replace('http://', `http://ada:${plant('the password of a receiver')}@`),
    OTEL_EXPORTER_OTLP_HEADERS: `x-token=${token}`,
  };
  const node = await startWatched('api', { ...env, DATABASE_URL: database.apiUrl });
  await createClient({ baseUrl: node.url }).auth.register({
    body: { email: 'e@example.com', password: 'nine lamps above the quay', name: 'E' },
  });
  await eventually(
    async () => node.output,
    (output) => output.includes('The queue is unavailable'),
  );
  await node.stop();
  await refusing.close();
  expect(node.output).toContain('The queue is unavailable');
  found.push(['the output of an API without a queue', node.output]);
  expectNoLeak();
});

/** Searches all output since the last call. */
function expectNoLeak(): void {
  const leaks = leaksIn(found.splice(0));
  expect(leaks).toEqual([]);
}

function leaksIn(contents: typeof found): string[] {
  const values = [...secrets.values()];
  const planted = new Set(values.filter((secret) => PLANTED.test(secret)));
  const others = values.filter((secret) => !planted.has(secret));
  const told = contents.flatMap(([place, content]) => {
    const leaked = new Set(content.match(ALL_PLANTED)?.filter((secret) => planted.has(secret)));
    for (const secret of others) if (content.includes(secret)) leaked.add(secret);
    if (leaked.size === 0) return [];
    return [...secrets]
      .filter(([, secret]) => leaked.has(secret))
      .map(([what, secret]) => {
        const at = content.indexOf(secret);
        return `${what} is in ${place}: ${content.slice(Math.max(0, at - 80), at + 40)}`;
      });
  });
  return [...new Set(told)];
}

/** The whole database, including the queue's tables, with bytes decoded as text. */
async function everyTable(): Promise<[string, string][]> {
  const { rows: columns } = await sql.query<{ table: string; column: string; type: string }>(
    `SELECT format('%I.%I', c.table_schema, c.table_name) AS table, quote_ident(column_name) AS column, data_type AS type
     FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
     WHERE t.table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`,
  );
  const tables = Map.groupBy(columns, ({ table }) => table);
  expect([...tables.keys()].some((name) => name.startsWith('bullmq.'))).toBe(true);
  return Promise.all(
    [...tables].map(async ([name, ofTable]): Promise<[string, string]> => {
      const texts = ofTable.map(({ column, type }) =>
        type === 'bytea' ? `encode(${column}, 'escape')` : `${column}::text`,
      );
      const { rows } = await sql.query<{ row: string }>(
        `SELECT concat_ws(' ', ${texts.join(', ')}) AS row FROM ${name}`,
      );
      return [name, rows.map(({ row }) => row).join('\n')];
    }),
  );
}
