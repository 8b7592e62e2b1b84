import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  jwtVerify,
  type JWTVerifyOptions,
} from 'jose';
import type { Client } from '#libs/client/client.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { describeWith } from '../support/left-out.js';
import { freePort } from '../../apps/cli/free-port.js';

const ISSUER = 'http://keyledger.test';
const AUDIENCE = 'https://orders.example';
const OTHER = 'invoices';
const DAY = 86_400_000;
const MINUTE = 60_000;

let deployment: Deployment;
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment({ port: await freePort(), env: { TOKEN_AUDIENCES: `${AUDIENCE}, ${OTHER}` } });
  ada = await deployment.account();
});

afterAll(() => deployment.stop());

type NewKey = Parameters<Client['apiKeys']['create']>[0]['body'];
type Wanted = Partial<Parameters<Client['apiKeys']['createToken']>[0]['body']>;

const newKey = (body: Partial<NewKey> = {}) =>
  ada.client.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read', 'events:read'], ...body } });
const exchange = (apiKey: string, wanted: Wanted = {}) =>
  deployment
    .client({ apiKey })
    .apiKeys.createToken({ body: { audience: AUDIENCE, scopes: ['triggers:read'], ...wanted } });
const tokenFor = async (apiKey: string, wanted?: Wanted) => (await exchange(apiKey, wanted)).token;

/** The key set as a service has kept it. */
const keySet = () => deployment.client().keyTokens.jwks();
async function verify(token: string, options: JWTVerifyOptions = {}) {
  const { payload } = await jwtVerify(token, createLocalJWKSet(await keySet()), {
    algorithms: ['ES256'],
    issuer: ISSUER,
    audience: AUDIENCE,
    typ: 'at+jwt',
    ...options,
  });
  return payload;
}

const events = (id: string, type: string, count: number) =>
  eventually(
    () => ada.client.audit.listEvents({ query: { key_id: id, type } }),
    ({ data }) => data.length >= count,
  ).then(({ data }) => data.map(({ event }) => event));

describe('a token for which a key is exchanged', () => {
  it('says whose the key is, what the token allows, and which event records the exchange', async () => {
    const project = (await ada.client.projects.create({ body: { name: 'Shop' } })).id;
    const { id, key } = await newKey({ project_id: project, environment: 'live' });
    const { token, expires_at: expiresAt } = await exchange(key);
    const remote = createRemoteJWKSet(new URL('/.well-known/jwks.json', deployment.url));
    const { payload } = await jwtVerify(token, remote, { issuer: ISSUER, audience: AUDIENCE, typ: 'at+jwt' });
    expect(payload).toEqual({
      iss: ISSUER,
      aud: AUDIENCE,
      sub: id,
      client_id: id,
      jti: expect.stringMatching(/^req_/),
      iat: expect.any(Number),
      exp: payload.iat! + 300,
      scope: 'triggers:read',
      organization_id: ada.organizationId,
      project_id: project,
      environment: 'live',
    });
    expect(expiresAt).toBe(new Date(payload.exp! * 1000).toISOString());
    const [use] = await events(id, 'api_key.used', 1);
    expect(use).toMatchObject({
      id: payload.jti,
      data: { method: 'POST', path: '/api/v1/api-keys/token', cost: 1, scopes: ['triggers:read'] },
    });
    expect(use!.data).not.toHaveProperty('surface');
  });

  it('names its event also if the client has named the request', async () => {
    const { id, key } = await newKey();
    const client = deployment.client({ apiKey: key, headers: { 'x-request-id': 'mine' } });
    const { token } = await client.apiKeys.createToken({ body: { audience: AUDIENCE, scopes: [] } });
    expect((await events(id, 'api_key.used', 1))[0]!.id).toBe(decodeJwt(token).jti);
  });

  it('is rejected by a service after it has expired, of another audience, of another issuer, or changed', async () => {
    const token = await tokenFor((await newKey()).key, { expires_in_seconds: 60 });
    const at = (seconds: number) => ({ currentDate: new Date((decodeJwt(token).iat! + seconds) * 1000) });
    await verify(token, at(59));
    await expect(verify(token, at(60))).rejects.toThrow(errors.JWTExpired);
    await expect(verify(token, { audience: OTHER })).rejects.toThrow(errors.JWTClaimValidationFailed);
    await expect(verify(token, { issuer: 'http://other.test' })).rejects.toThrow(errors.JWTClaimValidationFailed);
    const [header, , signature] = token.split('.');
    const wider = Buffer.from(JSON.stringify({ ...decodeJwt(token), scope: 'triggers:write' })).toString('base64url');
    await expect(verify(`${header}.${wider}.${signature}`)).rejects.toThrow(errors.JWSSignatureVerificationFailed);
  });

  it('ends with its key, and with a secret that a rotation has replaced', async () => {
    const { id, key } = await newKey();
    await ada.client.apiKeys.rotate({ params: { id }, body: { grace_period_seconds: 60 } });
    const [, replaced] = (await ada.client.apiKeys.listSecrets({ params: { id } })).data;
    const seconds = (instant: string) => Math.floor(Date.parse(instant) / 1000);
    expect(decodeJwt(await tokenFor(key)).exp).toBe(seconds(replaced!.ends_at!));
    const expires = new Date(Date.now() + 2 * MINUTE).toISOString();
    const short = await newKey();
    await ada.client.apiKeys.update({ params: { id: short.id }, body: { expires_at: expires } });
    expect(decodeJwt(await tokenFor(short.key)).exp).toBe(seconds(expires));
  });

  it('outlives the revocation of its key, as docs/api/key-tokens.md says, but there is no other', async () => {
    const { id, key } = await newKey();
    const token = await tokenFor(key);
    await ada.client.apiKeys.revoke({ params: { id } });
    expect(await verify(token)).toMatchObject({ sub: id });
    await expect(exchange(key)).rejects.toMatchObject({ code: 'revoked' });
  });

  it('is no access token of Keyledger, and an access token is no key token', async () => {
    const token = await tokenFor((await newKey()).key);
    const { status } = await fetch(`${deployment.url}/api/v1/whoami`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(status).toBe(401);
    await expect(verify(ada.accessToken, { algorithms: ['ES256', 'EdDSA'], audience: 'keyledger' })).rejects.toThrow(
      errors.JWKSNoMatchingKey,
    );
    await expect(
      deployment.client({ accessToken: ada.accessToken }).apiKeys.createToken({
        body: { audience: AUDIENCE, scopes: [] },
      }),
    ).rejects.toMatchObject({ code: 'invalid_key' });
  });
});

describe('the exchange of a key', () => {
  it('is refused for scopes that the key does not have, and recorded as a denial', async () => {
    const { id, key } = await newKey();
    await expect(exchange(key, { scopes: ['triggers:read', 'triggers:write'] })).rejects.toMatchObject({
      code: 'insufficient_scope',
    });
    expect((await events(id, 'api_key.denied', 1))[0]!.data).toMatchObject({
      code: 'insufficient_scope',
      path: '/api/v1/api-keys/token',
    });
  });

  it.each([{ audience: 'https://elsewhere.example' }, { audience: 'keyledger' }, { expires_in_seconds: 301 }])(
    'is refused for %j, and the key is not charged',
    async (wanted) => {
      const { id, key } = await newKey({ rate_limits: [{ name: 'once', limit: 1, window_seconds: 3600 }] });
      await expect(exchange(key, wanted)).rejects.toMatchObject({ code: 'invalid_request' });
      await exchange(key);
      expect(await events(id, 'api_key.used', 1)).toHaveLength(1);
    },
  );

  it('is charged to the rate limits and the credits of the key, and says what is left', async () => {
    const limited = await newKey({ rate_limits: [{ name: 'per-hour', limit: 1, window_seconds: 3600 }] });
    const response = await fetch(`${deployment.url}/api/v1/api-keys/token`, {
      method: 'POST',
      headers: { authorization: `Bearer ${limited.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ audience: AUDIENCE, scopes: [] }),
    });
    expect(response.headers.get('ratelimit')).toMatch(/^"per-hour";r=0;t=/);
    expect(response.headers.get('cache-control')).toBe('no-store');
    await expect(exchange(limited.key)).rejects.toMatchObject({ code: 'rate_limited' });

    const bob = await deployment.account();
    const operator = await deployment.operator();
    await operator.client.credits.grant({ params: { id: bob.organizationId }, body: { amount: 1 } });
    const { key } = await bob.client.apiKeys.create({ body: { name: 'Paid', scopes: ['triggers:read'] } });
    await exchange(key);
    await expect(exchange(key)).rejects.toMatchObject({ code: 'insufficient_credits' });
  });

  it('obeys the restrictions of the key, and its state', async () => {
    const elsewhere = await newKey({ allowed_ips: ['192.0.2.1'] });
    await expect(exchange(elsewhere.key)).rejects.toMatchObject({ code: 'ip_not_allowed' });
    const disabled = await newKey();
    await ada.client.apiKeys.disable({ params: { id: disabled.id } });
    await expect(exchange(disabled.key)).rejects.toMatchObject({ code: 'disabled' });
  });

  it('needs the secret: a public key alone, which web pages show, has no token', async () => {
    const { key, public_key: publicKey } = await newKey({ allowed_domains: ['shop.example'] });
    await expect(exchange(publicKey)).rejects.toMatchObject({ code: 'invalid_key' });
    expect(await verify(await tokenFor(`${publicKey}:${key}`))).toMatchObject({ aud: AUDIENCE });
  });
});

describe('the keys that sign', () => {
  const kids = async () => (await keySet()).keys.map(({ kid }) => kid);
  const kidOf = (token: string) => decodeProtectedHeader(token).kid;
  let key: string;
  beforeAll(async () => {
    ({ key } = await newKey());
  });

  it('are published without their private parts, and may be kept for ten minutes', async () => {
    const response = await fetch(`${deployment.url}/.well-known/jwks.json`);
    expect(response.headers.get('cache-control')).toBe('public, max-age=600');
    const { keys } = (await response.json()) as { keys: object[] };
    expect(keys.map((key) => Object.keys(key).toSorted())).toEqual([['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']]);
  });

  it('count only if they are sealed with the secret of the deployment', async () => {
    await deployment.sql.query(
      "INSERT INTO token_signing_key (id, private_key, created_at) VALUES ('planted', $1, '2020-01-01')",
      [randomBytes(200)],
    );
    deployment.advance(MINUTE);
    expect(await kids()).toEqual([kidOf(await tokenFor(key))]);
  });

  it('are replaced after 30 days, and no service meets a token whose key it cannot know', async () => {
    const [old] = await kids();
    deployment.advance(30 * DAY);
    const before = await keySet();
    const [first, next, ...more] = before.keys.map(({ kid }) => kid);
    expect([first, more]).toEqual([old, []]);
    expect(kidOf(await tokenFor(key))).toBe(old);

    deployment.advance(20 * MINUTE);
    const token = await tokenFor(key);
    expect(kidOf(token)).toBe(next);
    const { iat } = decodeJwt(token);
    await jwtVerify(token, createLocalJWKSet(before), { currentDate: new Date(iat! * 1000) });
    expect(await kids()).toEqual([old, next]);

    deployment.advance(10 * MINUTE);
    expect(await kids()).toEqual([next]);
  });

  it('are replaced at once if they were deleted', async () => {
    const stolen = await kids();
    await deployment.sql.query('DELETE FROM token_signing_key');
    deployment.advance(MINUTE);
    const kid = kidOf(await tokenFor(key));
    expect(stolen).not.toContain(kid);
    expect(await kids()).toEqual([kid]);
  });
});

/** The one that Debian's packages belong to. */
const PYTHON = '/usr/bin/python3';
const inPython = describeWith(
  PYTHON,
  ['-c', 'import jwt, cryptography'],
  'tokens in Python',
  'apt-get install python3-jwt python3-cryptography',
);

inPython('a service in Python, with PyJWT', () => {
  const SCRIPT = `
import json, sys, jwt
url, token, audience = sys.argv[1:]
key = jwt.PyJWKClient(url).get_signing_key_from_jwt(token).key
print(json.dumps(jwt.decode(token, key, algorithms=["ES256"], audience=audience, issuer="${ISSUER}")))
`;
  async function decode(token: string, audience: string): Promise<unknown> {
    const url = `${deployment.url}/.well-known/jwks.json`;
    const { stdout } = await promisify(execFile)(PYTHON, ['-c', SCRIPT, url, token, audience]);
    return JSON.parse(stdout);
  }

  it('accepts a token and reads its claims, and rejects one that has expired or is for another service', async () => {
    await deployment.restartApi();
    const { key } = await newKey();
    const token = await tokenFor(key);
    expect(await decode(token, AUDIENCE)).toEqual(decodeJwt(token));
    await expect(decode(token, OTHER)).rejects.toThrow('InvalidAudienceError');
    deployment.advance(-10 * MINUTE);
    await expect(decode(await tokenFor(key), AUDIENCE)).rejects.toThrow('ExpiredSignatureError');
  });
});

it('a deployment without audiences publishes no key and exchanges none', async () => {
  await deployment.restartApi({ TOKEN_AUDIENCES: '' });
  expect(await keySet()).toEqual({ keys: [] });
  await expect(exchange((await newKey()).key)).rejects.toMatchObject({ code: 'invalid_request' });
});
