import { createHash, randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { generateToken } from '#libs/api-key-format/token.js';
import type { Client } from '#libs/client/client.js';
import { toUuid } from '#libs/contract/ids.js';
import type { LeakPolicy } from '#libs/contract/organizations.js';
import { Problem } from '#libs/contract/problem.js';
import { replayLogs } from '#libs/replay/replay.js';
import { storedEvents } from '../support/audit-log.js';
import { builtModule } from '../support/built-module.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { allIngested } from '../support/events.js';
import { newSigningKey, publicKeyList, signed, type SigningKey } from '../support/github.js';
import { outcomeOf } from '../support/rejection.js';
import { withOtherSecret } from '../support/tokens.js';

const { Secrets } = await builtModule<typeof import('#libs/api-keys/verification/secrets.js')>(
  '#libs/api-keys/verification/secrets.js',
);

const PER_MINUTE = 5;
const GITHUB = '/api/v1/leaked-keys/github';

let deployment: Deployment;
let ada: Account;
let team: string;
/** Serves the list of public keys, as the API of GitHub does. */
let github: Server;
let listed: string;
let listReads = 0;
const key = newSigningKey('the key of GitHub');

beforeAll(async () => {
  listed = publicKeyList([key]);
  github = createServer((_, response) => {
    listReads += 1;
    response.end(listed);
  });
  await new Promise<void>((resolve) => github.listen(0, '127.0.0.1', resolve));
  deployment = await startDeployment({
    env: {
      TRUST_PROXY: 'loopback',
      LEAKED_KEY_REPORTS_PER_MINUTE: String(PER_MINUTE),
      GITHUB_KEYS: `http://127.0.0.1:${(github.address() as AddressInfo).port}/keys`,
    },
  });
  ada = await deployment.account();
  team = await newTeam();
});

afterAll(async () => {
  await deployment.stop();
  await new Promise((resolve) => github.close(resolve));
});

async function newTeam(policy?: LeakPolicy): Promise<string> {
  const { id } = await ada.client.organizations.create({ body: { name: 'Team' } });
  if (policy) await ada.client.organizations.update({ params: { id }, body: { leak_policy: policy } });
  return id;
}

type NewKey = Parameters<Client['apiKeys']['create']>[0]['body'];

const newKey = (body: Partial<NewKey> = {}) =>
  ada.client.apiKeys.create({
    body: { name: 'Leaky', scopes: ['triggers:read'], environment: 'live', organization_id: team, ...body },
  });
const use = (secret: string) => outcomeOf(deployment.client({ apiKey: secret }).auth.whoami());
const read = (id: string) => ada.client.apiKeys.get({ params: { id } });

let addresses = 0;

/** Each report comes from another address, unless the test says otherwise. */
async function post(path: string, body: string, headers: Record<string, string> = {}) {
  addresses += 1;
  const response = await fetch(`${deployment.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': `203.0.113.${addresses}`, ...headers },
    body,
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

const report = (tokens: readonly string[], more: object = {}, headers: Record<string, string> = {}) =>
  post('/api/v1/leaked-keys', JSON.stringify({ tokens, ...more }), headers);
const problemIn = ({ text }: { text: string }) => Problem.parse(JSON.parse(text));

async function eventsOf(id: string, organization = team) {
  await allIngested(deployment);
  const events = await storedEvents(deployment.sql, organization);
  return events.filter(({ subject, type }) => subject === id && /leaked|revoked|rotated/.test(type));
}

describe('the report of a stranger', () => {
  it('revokes a live key at once, and says in the log who found it where', async () => {
    const { id, key: secret } = await newKey();
    expect(await use(secret)).toBe('done');
    const { data: secrets } = await ada.client.apiKeys.listSecrets({ params: { id } });
    const secretId = secrets[0]!.id;
    const found = { source: 'gitleaks', url: 'https://example.com/config.env' };
    expect(await report([secret], found)).toMatchObject({ status: 204, text: '' });
    expect(await use(secret)).toBe('revoked');
    const [leaked, revoked] = await eventsOf(id);
    expect(leaked).toMatchObject({
      type: 'api_key.leaked',
      data: { actor: { type: 'anonymous' }, subject: { name: 'Leaky' }, ...found, secret_id: secretId, revoked: true },
    });
    expect(revoked).toMatchObject({
      type: 'api_key.revoked',
      data: { actor: { type: 'system' }, because: 'leaked', deleted: false },
    });
    expect(await read(id)).toMatchObject({
      status: 'revoked',
      leak: { ...found, secret_id: secretId, at: leaked!.time },
    });
  });

  it.each<[LeakPolicy | undefined, { live: string; test: string }]>([
    [undefined, { live: 'revoked', test: 'done' }],
    ['revoke_live', { live: 'revoked', test: 'done' }],
    ['revoke', { live: 'revoked', test: 'revoked' }],
    ['report', { live: 'done', test: 'done' }],
  ])('has the effect that the policy %s says, and is recorded in any case', async (policy, expected) => {
    const organization = await newTeam(policy);
    const [live, test] = [
      await newKey({ organization_id: organization }),
      await newKey({ organization_id: organization, environment: 'test' }),
    ];
    await report([live.key, test.key]);
    expect({ live: await use(live.key), test: await use(test.key) }).toEqual(expected);
    for (const { id } of [live, test])
      expect((await eventsOf(id, organization))[0]).toMatchObject({ type: 'api_key.leaked', data: { url: null } });
  });

  it('gets the same response for what is no secret of this deployment, and changes nothing', async () => {
    const { id, key: secret, public_key: publicKey } = await newKey();
    const other = await newKey();
    const wrong = withOtherSecret(secret);
    const tokens = [generateToken('sk_live'), `${secret.slice(0, -1)}!`, wrong, publicKey, 'password', id];
    expect(await report(tokens)).toMatchObject({ status: 204, text: '' });
    expect(await use(secret)).toBe('done');
    expect(await eventsOf(id)).toEqual([]);
    // A public key beside the secret of another key: the secret counts.
    await report([`${publicKey}:${other.key}`]);
    expect([await use(secret), await use(other.key)]).toEqual(['done', 'revoked']);
  });

  it('counts once for each secret, however often it comes, and at once', async () => {
    const { id, key: secret } = await newKey({ environment: 'test' });
    await report([secret, secret], { source: 'first' });
    await Promise.all(['a', 'b', 'c'].map((source) => report([secret], { source })));
    const events = await eventsOf(id);
    expect(events).toEqual([expect.objectContaining({ type: 'api_key.leaked' })]);
    expect((await read(id)).leak).toMatchObject({ source: 'first' });
    // The next secret is another one.
    const { key: next } = await ada.client.apiKeys.rotate({ params: { id }, body: { grace_period_seconds: 0 } });
    await report([next], { source: 'second' });
    expect((await eventsOf(id)).map(({ type }) => type)).toEqual([
      'api_key.leaked',
      'api_key.rotated',
      'api_key.leaked',
    ]);
  });

  it('of a secret that was replaced leaves the key alone, of one in its grace period it does not', async () => {
    const [ended, lingering] = [await newKey(), await newKey()];
    const rotate = (id: string, grace: number) =>
      ada.client.apiKeys.rotate({ params: { id }, body: { grace_period_seconds: grace } });
    const now = [await rotate(ended.id, 0), await rotate(lingering.id, 60)];
    await report([ended.key, lingering.key]);
    expect(await Promise.all(now.map(({ key: secret }) => use(secret)))).toEqual(['done', 'revoked']);
    expect((await eventsOf(ended.id)).at(-1)).toMatchObject({ type: 'api_key.leaked', data: { revoked: false } });
  });

  it('reaches each organization of a list, ended keys too, and no deleted one', async () => {
    const [first, second] = [await newTeam(), await newTeam()];
    const [one, two] = [await newKey({ organization_id: first }), await newKey({ organization_id: second })];
    const [revoked, deleted] = [await newKey(), await newKey()];
    await ada.client.apiKeys.revoke({ params: { id: revoked.id } });
    await ada.client.apiKeys.delete({ params: { id: deleted.id } });
    await report([one, two, revoked, deleted].map(({ key: secret }) => secret));
    expect([await use(one.key), await use(two.key)]).toEqual(['revoked', 'revoked']);
    const types = async ({ id }: { id: string }) => (await eventsOf(id)).map(({ type }) => type);
    expect(await types(revoked)).toEqual(['api_key.revoked', 'api_key.leaked']);
    expect(await types(deleted)).toEqual(['api_key.revoked']);
  });

  it('finds an imported secret, whether it was used or not', async () => {
    for (const wasUsed of [false, true]) {
      const token = `other_system_${randomUUID()}`;
      const row = { name: 'Imported', scopes: ['triggers:read'], environment: 'live' as const };
      const hash = createHash('sha256').update(token).digest('hex');
      await ada.client.apiKeys.import({ body: { organization_id: team, keys: [{ ...row, hash }] } });
      if (wasUsed) expect(await use(token)).toBe('done');
      await report([`${token}x`, token]);
      expect(await use(token)).toBe('revoked');
    }
  });

  it('records no secret that its address has', async () => {
    const { id, key: secret } = await newKey();
    await report([secret], { url: `https://example.com/raw?key=${secret}` });
    const { leak } = await read(id);
    expect(leak!.url).toMatch(/^https:\/\/example\.com\/raw\?/);
    expect(JSON.stringify([leak, await eventsOf(id)])).not.toContain(secret);
  });

  it('does nothing if it is not valid as a whole', async () => {
    const { key: secret } = await newKey();
    const tooMany = [secret, ...Array.from({ length: 1_000 }, () => 'x')];
    for (const [response, location] of [
      [await report(tooMany), 'body.tokens'],
      [await report([]), 'body.tokens'],
      [await report([secret, '']), 'body.tokens[1]'],
      [await report([secret], { url: 'javascript:alert(1)' }), 'body.url'],
      // Only GitHub can name a source with a colon: it signs its reports.
      [await report([secret], { source: 'github:content' }), 'body.source'],
      [await report([secret], { sources: 'x' }), 'body.sources'],
    ] as const) {
      const { code, errors } = problemIn(response);
      expect([code, errors!.map((error) => error.location)]).toEqual(['invalid_request', [location]]);
    }
    const large = await post('/api/v1/leaked-keys', JSON.stringify({ tokens: [secret, 'x'.repeat(10_000_000)] })).catch(
      () => 'the connection was closed',
    );
    if (typeof large === 'object') expect(problemIn(large).code).toBe('payload_too_large');
    expect(await use(secret)).toBe('done');
  });

  it('may have 1,000 tokens, and runs Argon2id only for a token with the handle of a secret that was never used', async () => {
    const secrets = deployment.api.get(Secrets, { strict: false });
    const verify = secrets.verify.bind(secrets);
    let runs = 0;
    secrets.verify = (...args) => {
      runs += 1;
      return verify(...args);
    };
    const [used, unused] = [await newKey(), await newKey()];
    await use(used.key);
    const digests = 'SELECT count(digest)::int AS n FROM api_key_secret WHERE api_key_id = $1';
    await eventually(
      async () => (await deployment.sql.query<{ n: number }>(digests, [toUuid(used.id)])).rows[0]!.n,
      (n) => n === 1,
    );
    runs = 0;
    const unknown = Array.from({ length: 997 }, () => generateToken('sk_live'));
    const { status } = await report([...unknown, used.key, unused.key, withOtherSecret(used.key)]);
    secrets.verify = verify;
    expect([status, runs]).toEqual([204, 1]);
    expect([await use(used.key), await use(unused.key)]).toEqual(['revoked', 'revoked']);
  });

  it('is limited by address', async () => {
    const from = { 'x-forwarded-for': '198.51.100.7' };
    for (let n = 0; n < PER_MINUTE; n++) expect((await report(['x'], {}, from)).status).toBe(204);
    const limited = await report(['x'], {}, from);
    expect(problemIn(limited).code).toBe('rate_limited');
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await report(['x'])).status).toBe(204);
  });
});

describe('a report that GitHub signed', () => {
  const matchOf = (token: string, more: object = {}) => ({
    token,
    type: 'keyledger_key',
    url: 'https://github.com/acme/shop/blob/0f1e/config.env',
    source: 'content',
    ...more,
  });
  const send = (matches: unknown, by: SigningKey = key, headers: Record<string, string> = {}) => {
    const body = JSON.stringify(matches);
    return post(GITHUB, body, { ...signed(body, by), ...headers });
  };

  it('revokes keys, and its response labels each token', async () => {
    const { id, key: secret } = await newKey();
    const unknown = generateToken('sk_live');
    const response = await send([matchOf(secret), matchOf(unknown, { url: '', new_field: 1 }), matchOf(secret)]);
    const labelled = (token_raw: string, label: string) => ({ token_raw, token_type: 'keyledger_key', label });
    expect([response.status, JSON.parse(response.text)]).toEqual([
      200,
      [labelled(secret, 'true_positive'), labelled(unknown, 'false_positive'), labelled(secret, 'true_positive')],
    ]);
    expect(await use(secret)).toBe('revoked');
    expect((await read(id)).leak).toMatchObject({
      source: 'github:content',
      url: 'https://github.com/acme/shop/blob/0f1e/config.env',
    });
    // It was reported before.
    expect(JSON.parse((await send([matchOf(secret)])).text)).toEqual([labelled(secret, 'true_positive')]);
    expect((await send([])).text).toBe('[]');
  });

  it('is refused with a wrong signature or an unknown key, says why, and does nothing', async () => {
    const { key: secret } = await newKey();
    const body = JSON.stringify([matchOf(secret)]);
    const stranger = newSigningKey(key.id);
    for (const [headers, code, words] of [
      [signed(body, stranger), 'invalid_signature', /not that of the body/],
      [signed(`${body} `, key), 'invalid_signature', /not that of the body/],
      [{ ...signed(body, key), 'github-public-key-signature': 'AAAA' }, 'invalid_signature', /not that of the body/],
      [signed(body, { ...key, id: 'another' }), 'invalid_signature', /identifier/],
      [{ ...signed(body, key), 'github-public-key-signature': '!' }, 'invalid_request', /signature must be base64/],
      [{}, 'invalid_request', /headers\.github-public-key-identifier/],
    ] as const) {
      const problem = problemIn(await post(GITHUB, body, headers));
      expect(problem).toMatchObject({ code, detail: expect.stringMatching(words) });
    }
    expect(await use(secret)).toBe('done');
    // However many unknown keys strangers name.
    expect(listReads).toBeLessThanOrEqual(2);
  });

  it('does nothing if it is not valid as a whole', async () => {
    const { key: secret } = await newKey();
    const tooMany = Array.from({ length: 1_001 }, () => matchOf(secret));
    for (const [matches, location] of [
      [tooMany, 'body'],
      [matchOf(secret), 'body'],
      [[matchOf(secret), { token: 1, type: 'x' }], 'body[1].token'],
    ] as const) {
      const { code, errors } = problemIn(await send(matches));
      expect([code, errors![0]!.location]).toEqual(['invalid_request', location]);
    }
    const text = 'not JSON';
    expect(problemIn(await post(GITHUB, text, signed(text, key))).code).toBe('invalid_request');
    const typed = await send([matchOf(secret)], key, { 'content-type': 'text/plain' });
    expect(problemIn(typed).code).toBe('unsupported_media_type');
    const large = await send([matchOf(secret, { url: 'x'.repeat(10_000_000) })]).catch(() => 'closed');
    if (typeof large === 'object') expect(problemIn(large).code).toBe('payload_too_large');
    expect(await use(secret)).toBe('done');
  });

  it('may have 1,000 tokens with long addresses', async () => {
    const url = `https://github.com/${'x'.repeat(800)}`;
    const response = await send(Array.from({ length: 1_000 }, () => matchOf(generateToken('sk_live'), { url })));
    expect(response).toMatchObject({ status: 200 });
    expect((JSON.parse(response.text) as unknown[]).length).toBe(1_000);
  });
});

it('a replay of the audit logs agrees with the database after all this', async () => {
  await allIngested(deployment);
  const client = await deployment.sql.connect();
  const faults = [];
  for await (const { differences, leftOut } of replayLogs(client)) faults.push(...differences, ...leftOut);
  client.release();
  expect(faults).toEqual([]);
});
