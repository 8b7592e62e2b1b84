import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startDeployment, startWorker, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { storedEntries } from '../support/audit-log.js';

/** Values that no event may contain, by description. */
const planted = new Map<string, string>();

function plant(what: string, value: string): string {
  planted.set(what, value);
  return value;
}

const word = () => `zq${randomBytes(8).toString('hex')}`;
const email = (what: string) => plant(what, `${word()}@example.com`);

/** Client addresses as sent in X-Forwarded-For, and the beginning of their recorded form. */
const ADDRESSES = ['203.0.113.77', '::ffff:198.51.100.88', '2001:db8:77:66:55:44:33:22'];
for (const address of ADDRESSES) plant(`the address ${address}`, address.replace('::ffff:', ''));

let deployment: Deployment;

async function send(
  method: string,
  path: string,
  { body, token, key, refused = false }: Sent = {},
): Promise<Record<string, string>> {
  const address = ADDRESSES[requests++ % ADDRESSES.length]!;
  const response = await fetch(deployment.url + path, {
    method,
    headers: {
      'x-forwarded-for': address,
      'user-agent': `${plant('a user agent', word())} (${plant('the comment of a user agent', word())})`,
      ...(token && { authorization: `Bearer ${token}` }),
      ...(key && { 'x-api-key': key }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (response.ok === refused) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text.startsWith('{') ? (JSON.parse(text) as Record<string, string>) : {};
}

interface Sent {
  readonly body?: unknown;
  readonly token?: string | undefined;
  readonly key?: string | undefined;
  readonly refused?: boolean;
}
let requests = 0;

/** Causes every kind of event that involves an address, a user agent or a name. */
async function doAll(operator: Account): Promise<void> {
  const password = `${word()} above the quay`;
  const account = { email: email('the address of an account'), password };
  const name = plant('the name of an account', word());
  const registered = await send('POST', '/api/v1/auth/register', { body: { ...account, name } });
  const token = (await send('POST', '/api/v1/auth/login', { body: account }))['access_token'];
  for (const wrong of [
    { ...account, password: 'wrong' },
    { ...account, email: email('an unknown address') },
  ])
    await send('POST', '/api/v1/auth/login', { body: wrong, refused: true });
  const personal = (registered['organization'] as unknown as { id: string }).id;
  const named = plant('a new name of a personal organization', word());
  await send('PATCH', `/api/v1/organizations/${personal}`, { token, body: { name: named } });
  const { id } = await send('POST', '/api/v1/organizations', { token, body: { name: 'Engines' } });
  const invitations = `/api/v1/organizations/${id}/invitations`;
  const withdrawn = await send('POST', invitations, { token, body: { role: 'viewer', email: email('one invited') } });
  await send('DELETE', `${invitations}/${withdrawn['id']}`, { token });
  const invited = { email: email('the address of a member'), name: plant('the name of a member', word()), password };
  const invitation = await send('POST', invitations, { token, body: { role: 'viewer', email: invited.email } });
  const joined = await send('POST', '/api/v1/auth/register', {
    body: { ...invited, invitation_token: invitation['token'] },
  });
  const member = `/api/v1/organizations/${id}/members/${(joined['user'] as unknown as { id: string }).id}`;
  await send('PATCH', member, { token, body: { role: 'admin' } });
  await send('DELETE', member, { token });
  const scopes = ['api-keys:manage', 'api-keys:verify', 'triggers:read'];
  const made = await send('POST', '/api/v1/api-keys', { token, body: { name: 'Robot', scopes, organization_id: id } });
  const key = made['key'];
  await send('POST', '/api/v1/api-keys', { key, body: { name: 'Made', scopes: ['triggers:read'] } });
  await send('GET', '/authz', { key });
  await send('GET', '/authz?scope=events:read', { key, refused: true });
  const request = { method: 'GET', path: '/x', ip: ADDRESSES[2], user_agent: plant('a user agent of verify', word()) };
  await send('POST', '/api/v1/api-keys/verify', { key, body: { key, request } });
  await send('POST', '/api/v1/api-keys/verify', { key, body: { key, request, scopes: ['events:read'] } });
  const byOperator = { token: operator.accessToken };
  await send('GET', `/api/v1/organizations/${personal}`, byOperator);
  const operated = `/api/v1/deployment/organizations/${personal}`;
  await send('POST', `${operated}/suspend`, { ...byOperator, body: {} });
  await send('POST', `${operated}/resume`, byOperator);
  await send('POST', `${operated}/credits`, { ...byOperator, body: { amount: 1 } });
  await send('POST', '/api/v1/deployment/password-resets', { ...byOperator, body: { email: account.email } });
  const staff = { ...byOperator, body: { email: email('one invited to the operators') } };
  await send('POST', '/api/v1/deployment/operators/invitations', staff);
  const changed = { current_password: password, new_password: `${word()} above the quay` };
  await send('POST', '/api/v1/auth/password', { token, body: changed });
  await send('PATCH', '/api/v1/auth/account', { token, body: { name: plant('a new name of an account', word()) } });
  await send('POST', '/api/v1/auth/logout', { token });
  await send('POST', `/api/v1/api-keys/${made['id']}/revoke`, { key });
}

/** All bytes of events in the outbox and the audit log, and the sessions, which live longer than their request. */
async function stored(tables: readonly string[]): Promise<string> {
  const texts = await Promise.all(
    tables.map((table) => deployment.sql.query<{ row: string }>(`SELECT concat_ws(' ', t.*) AS row FROM ${table} t`)),
  );
  const entries = await storedEntries(deployment.sql);
  return [...texts.flatMap(({ rows }) => rows.map(({ row }) => row)), ...entries.map(({ entry }) => entry)].join('\n');
}
const WAITING = `(SELECT encode(body, 'escape') FROM outbox)`;
const INGESTED = `(SELECT encode(entry, 'escape'), actor_id, subject, ip::text, path FROM audit_management_event)`;
const SESSIONS = '(SELECT ip, user_agent FROM session)';

const leaksIn = (text: string) => [...planted].filter(([, value]) => text.includes(value)).map(([what]) => what);

const env = (address: string, userAgent: string, actor: string) => ({
  TRUST_PROXY: 'loopback',
  RECORD_CLIENT_ADDRESS: address,
  RECORD_USER_AGENT: userAgent,
  RECORD_ACTOR: actor,
});

describe.each([
  ['network', 'family', 'id'],
  ['none', 'none', 'id'],
])('with addresses as %s, user agents as %s and people by %s', (address, userAgent, actor) => {
  let operator: Account;
  let worker: Awaited<ReturnType<typeof startWorker>>;

  beforeAll(async () => {
    deployment = await startDeployment({ worker: false, env: env(address, userAgent, actor) });
    operator = await deployment.operator();
    plant('the address of the operator', operator.email);
    await doAll(operator);
  });

  afterAll(async () => {
    await worker.close();
    await deployment.stop();
  });

  it('no event has a full address, user agent, name or e-mail address, in the outbox or in the audit log', async () => {
    const waiting = await stored([WAITING]);
    expect(waiting).toContain('member.role_changed');
    expect(leaksIn(waiting)).toEqual([]);
    worker = await startWorker(deployment.database);
    await allIngested(deployment);
    const ingested = await stored([INGESTED, SESSIONS]);
    for (const type of ['user.registered', 'invitation.revoked', 'member.removed', 'operator.read', 'api_key.denied'])
      expect(ingested).toContain(type);
    expect(leaksIn(ingested)).toEqual([]);
  });

  it('events still have the actor’s id, and the search by id finds them', async () => {
    const query = { organization_id: operator.organizationId, actor_id: operator.userId };
    const { data } = await operator.client.audit.listEvents({ query });
    expect(data.length).toBeGreaterThan(0);
    for (const { event } of data) expect(event.data.actor).toEqual({ type: 'user', id: operator.userId });
  });
});

describe('with addresses as networks', () => {
  beforeAll(async () => {
    deployment = await startDeployment({ env: env('network', 'full', 'name') });
  });

  afterAll(() => deployment.stop());

  it('a search for an address finds the events of its network, and no others', async () => {
    const account = await deployment.account();
    const login = (ip: string) =>
      fetch(`${deployment.url}/api/v1/auth/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-forwarded-for': ip },
        body: JSON.stringify({ email: account.email, password: account.password }),
      });
    await login('203.0.113.77');
    await login('2001:db8:77:66::1');
    await allIngested(deployment);
    const found = async (ip: string) => {
      const { data } = await account.client.audit.listEvents({ query: { ip, type: 'user.login_succeeded' } });
      return data.map(({ event }) => event.data['ip']);
    };
    for (const ip of ['203.0.113.77', '203.0.113.1', '203.0.113.64/26', '203.0.113.0/24', '203.0.0.0/16'])
      expect({ ip, found: await found(ip) }).toEqual({ ip, found: ['203.0.113.0/24'] });
    expect(await found('2001:db8:77:1::9')).toEqual(['2001:db8:77::/48']);
    for (const ip of ['203.0.114.77', '2001:db8:78::1']) expect(await found(ip)).toEqual([]);
  });

  it('the allowed addresses of a key are still checked against the full address', async () => {
    const account = await deployment.account();
    const body = { name: 'One host', scopes: ['triggers:read'], allowed_ips: ['203.0.113.77'] };
    const { key } = await account.client.apiKeys.create({ body });
    const statusFrom = async (ip: string) =>
      (
        await fetch(`${deployment.url}/authz?scope=triggers:read`, {
          headers: { 'x-api-key': key, 'x-forwarded-for': ip },
        })
      ).status;
    expect([await statusFrom('203.0.113.77'), await statusFrom('203.0.113.78')]).toEqual([200, 403]);
  });
});

it('by default everything is recorded', async () => {
  deployment = await startDeployment({ env: { TRUST_PROXY: 'loopback' } });
  try {
    await doAll(await deployment.operator());
    await allIngested(deployment);
    const recorded = leaksIn(await stored([INGESTED, SESSIONS]));
    expect(recorded).toEqual(
      expect.arrayContaining([
        'the address 203.0.113.77',
        'the address of an account',
        'the name of a member',
        'one invited',
        'a user agent',
      ]),
    );
  } finally {
    await deployment.stop();
  }
});
