import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Client } from '#libs/client/client.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { codeOf, outcomeOf } from '../support/rejection.js';

const PER_MINUTE = 40;
const SHOP = 'https://shop.example.com';

let deployment: Deployment;
let ada: Account;
let service: Client;

beforeAll(async () => {
  deployment = await startDeployment({ env: { PUBLIC_KEY_REQUESTS_PER_MINUTE: String(PER_MINUTE) } });
  ada = await deployment.account();
  const { key } = await ada.client.apiKeys.create({ body: { name: 'Service', scopes: ['api-keys:verify'] } });
  service = deployment.client({ apiKey: key });
});

afterAll(() => deployment.stop());

const newKey = (body: Partial<Parameters<Client['apiKeys']['create']>[0]['body']> = {}) =>
  ada.client.apiKeys.create({
    body: {
      name: 'Pair',
      scopes: ['triggers:*', 'events:read', 'audit:read'],
      allowed_domains: ['*.example.com'],
      ...body,
    },
  });
const verify = async (key: string, request: { origin?: string; ip?: string } = {}, scopes: string[] = []) =>
  service.apiKeys.verify({ body: { key, scopes, request } });
const whoami = (bearer: string, origin?: string) =>
  outcomeOf(deployment.client({ accessToken: bearer, ...(origin && { headers: { Origin: origin } }) }).auth.whoami());

describe('a pair', () => {
  it('is created together; the public key is shown again, and survives a rotation', async () => {
    const key = await newKey();
    expect(key.public_key).toMatch(/^pk_test_[0-9A-Za-z]{32}$/);
    expect(key.key).toMatch(/^sk_test_[0-9A-Za-z]{32}$/);
    const params = { id: key.id };
    const rotated = await ada.client.apiKeys.rotate({ params });
    expect(rotated.public_key).toBe(key.public_key);
    expect((await ada.client.apiKeys.get({ params })).public_key).toBe(key.public_key);
    expect((await ada.client.apiKeys.list({ query: { search: key.public_key.slice(0, 16) } })).total).toBe(1);
    expect(await whoami(`${key.public_key}:${rotated.key}`)).toBe('done');
    expect(await whoami(`${key.public_key}:${key.key}`)).toBe('revoked');
  });

  it('works as both halves with a colon between them, in that order, and only if both belong to one key', async () => {
    const [one, other] = [await newKey(), await newKey()];
    expect(await whoami(`${one.public_key}:${one.key}`)).toBe('done');
    expect(await whoami(`${other.public_key}:${one.key}`)).toBe('invalid_key');
    expect(await whoami(`${one.key}:${one.public_key}`)).toBe('invalid_key');
    expect(await whoami(`${one.public_key}:${other.public_key}`)).toBe('invalid_key');
    expect(await whoami(`${one.key}:${one.key}`)).toBe('invalid_key');
    expect(await whoami(`${one.public_key}:${one.key}:${one.key}`)).toBe('invalid_key');
    expect(await whoami(`${one.public_key}:`)).toBe('invalid_key');
    expect((await verify(`${one.public_key}:${one.key}`)).code).toBe('valid');
  });

  it('with its secret needs no origin', async () => {
    const { key, public_key: publicKey } = await newKey();
    expect(await whoami(key)).toBe('done');
    expect(await whoami(key, 'https://elsewhere.test')).toBe('done');
    expect(await whoami(`${publicKey}:${key}`, 'https://elsewhere.test')).toBe('done');
  });
});

describe('a public key alone', () => {
  it('works from an allowed origin and from no other', async () => {
    const { public_key: publicKey } = await newKey({ allowed_domains: ['*.example.com', 'bücher.example'] });
    expect(await whoami(publicKey)).toBe('origin_not_allowed');
    const outcomes = await Promise.all(
      [
        'https://shop.example.com',
        'http://a.b.example.com:8080',
        'HTTPS://SHOP.EXAMPLE.COM',
        'https://xn--bcher-kva.example',
        'https://example.com',
        'https://evilexample.com',
        'https://shop.example.com.evil.test',
        'null',
      ].map(async (origin) => (await verify(publicKey, { origin })).code),
    );
    expect(outcomes).toEqual([...Array<string>(4).fill('valid'), ...Array<string>(4).fill('origin_not_allowed')]);
    expect((await verify(publicKey)).code).toBe('origin_not_allowed');
  });

  it('has the application scopes of the key, and never built-in scopes', async () => {
    const { public_key: publicKey } = await newKey({ scopes: ['*:*'] });
    const response = await verify(publicKey, { origin: SHOP }, ['triggers:read', 'events:read']);
    expect(response).toMatchObject({ code: 'valid', api_key: { credential: 'public_key' } });
    expect(response.api_key!.scopes.toSorted()).toEqual(
      [
        'agents:*',
        'agents:read',
        'events:*',
        'events:read',
        'triggers:*',
        'triggers:read',
        'triggers:write',
      ].toSorted(),
    );
    expect((await verify(publicKey, { origin: SHOP }, ['audit:read'])).code).toBe('insufficient_scope');
    const { audit, apiKeys } = deployment.client({ apiKey: publicKey, headers: { Origin: SHOP } });
    expect(await codeOf(audit.listEvents())).toBe('insufficient_scope');
    expect(await codeOf(apiKeys.create({ body: { name: 'More', scopes: ['triggers:read'] } }))).toBe(
      'insufficient_scope',
    );
  });

  it('has no scopes without allowed domains, and then those of public_scopes if they are set', async () => {
    const key = await newKey({ allowed_domains: [] });
    expect((await verify(key.public_key, { origin: SHOP })).code).toBe('origin_not_allowed');
    const params = { id: key.id };
    const allow = (body: object) => ada.client.apiKeys.update({ params, body });
    await allow({ allowed_domains: ['shop.example.com'] });
    expect((await verify(key.public_key, { origin: SHOP }, ['triggers:write'])).code).toBe('valid');
    await allow({ public_scopes: ['triggers:read'] });
    expect((await verify(key.public_key, { origin: SHOP }, ['triggers:write'])).code).toBe('insufficient_scope');
    expect((await verify(key.public_key, { origin: SHOP }, ['triggers:read'])).code).toBe('valid');
    await allow({ public_scopes: [] });
    expect((await verify(key.public_key, { origin: SHOP }, ['triggers:read'])).code).toBe('insufficient_scope');
    await allow({ public_scopes: null });
    expect((await verify(key.public_key, { origin: SHOP }, ['events:read'])).code).toBe('valid');
  });

  it.each([[['audit:read']], [['*:read']], [['agents:read']], [['*:*']]])('cannot get %j', async (publicScopes) => {
    expect(await codeOf(newKey({ public_scopes: publicScopes }))).toBe('invalid_request');
    const { id } = await newKey();
    const change = ada.client.apiKeys.update({ params: { id }, body: { public_scopes: publicScopes } });
    expect(await codeOf(change)).toBe('invalid_request');
  });

  it('is not opened to pages by a user without the scopes that it then has', async () => {
    const target = await newKey({ scopes: ['events:read'], allowed_domains: [] });
    const manager = await newKey({ scopes: ['api-keys:manage', 'triggers:read'] });
    const { apiKeys } = deployment.client({ apiKey: manager.key });
    const open = apiKeys.update({ params: { id: target.id }, body: { allowed_domains: ['evil.test'] } });
    expect(await codeOf(open)).toBe('beyond_authority');
    const wide = await newKey({ scopes: ['events:read'], public_scopes: [] });
    const widen = apiKeys.update({ params: { id: wide.id }, body: { public_scopes: ['events:read'] } });
    expect(await codeOf(widen)).toBe('beyond_authority');
    // Removing all domains narrows the key.
    expect((await apiKeys.update({ params: { id: wide.id }, body: { allowed_domains: [] } })).allowed_domains).toEqual(
      [],
    );
  });

  it('ends with its key, and is limited by the allowed addresses of its key', async () => {
    const key = await newKey({ allowed_ips: ['198.51.100.0/24'] });
    expect((await verify(key.public_key, { origin: SHOP, ip: '198.51.100.1' })).code).toBe('valid');
    expect((await verify(key.public_key, { origin: SHOP, ip: '203.0.113.1' })).code).toBe('ip_not_allowed');
    await ada.client.apiKeys.disable({ params: { id: key.id } });
    expect((await verify(key.public_key, { origin: SHOP, ip: '198.51.100.1' })).code).toBe('disabled');
    await ada.client.apiKeys.delete({ params: { id: key.id } });
    expect((await verify(key.public_key, { origin: SHOP, ip: '198.51.100.1' })).code).toBe('revoked');
  });

  it('has each use recorded, with the page and without a secret', async () => {
    const key = await newKey();
    await verify(key.public_key, { origin: SHOP });
    await verify(key.public_key, { origin: 'https://elsewhere.test' });
    const events = async (type: string) =>
      (
        await eventually(
          () => ada.client.audit.listEvents({ query: { key_id: key.id, type } }),
          ({ data }) => data.length > 0,
        )
      ).data.map(({ event }) => event.data);
    const [used] = await events('api_key.used');
    expect(used).toMatchObject({ credential: 'public_key', origin: SHOP });
    expect(used).not.toHaveProperty('secret_id');
    expect((await events('api_key.denied'))[0]).toMatchObject({
      code: 'origin_not_allowed',
      credential: 'public_key',
      origin: 'https://elsewhere.test',
    });
  });

  it('is limited by address: an address with too many requests gets Retry-After, and other addresses and secrets continue', async () => {
    const { public_key: publicKey, key } = await newKey();
    const from = (ip: string) => verify(publicKey, { origin: SHOP, ip });
    const responses = [];
    for (let request = 0; request < PER_MINUTE + 5; request++) responses.push(await from('198.51.100.77'));
    expect(responses.map(({ code }) => code).filter((code) => code === 'valid')).toHaveLength(PER_MINUTE);
    const limited = responses.at(-1)!;
    expect(limited.code).toBe('rate_limited');
    expect(limited.retry_after).toBeGreaterThan(0);
    expect(limited.retry_after).toBeLessThanOrEqual(60);
    expect((await from('198.51.100.78')).code).toBe('valid');
    expect((await verify(key, { ip: '198.51.100.77' })).code).toBe('valid');
  });
});

describe('a request from a page of another origin', () => {
  const preflight = (origin: string, path = '/api/v1/whoami') =>
    fetch(`${deployment.url}${path}`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' },
    });
  const ask = (origin: string, key: string) =>
    fetch(`${deployment.url}/api/v1/whoami`, { headers: { origin, authorization: `Bearer ${key}` } });
  const allowed = (response: Response) => response.headers.get('access-control-allow-origin');

  it('passes the preflight if some active key allows the origin', async () => {
    const key = await newKey({ allowed_domains: ['preflight.test'] });
    const origin = 'https://preflight.test';
    const response = await preflight(origin);
    expect(response.status).toBe(204);
    expect(allowed(response)).toBe(origin);
    expect(response.headers.get('access-control-allow-headers')).toContain('authorization');
    expect(response.headers.get('vary')).toContain('Origin');
    for (const other of ['https://other.test', 'null', 'https://sub.preflight.test']) {
      expect(allowed(await preflight(other))).toBeNull();
    }
    await ada.client.apiKeys.disable({ params: { id: key.id } });
    expect(allowed(await preflight(origin))).toBeNull();
    await ada.client.apiKeys.enable({ params: { id: key.id } });
    expect(allowed(await preflight(origin))).toBe(origin);
    await ada.client.apiKeys.revoke({ params: { id: key.id } });
    expect(allowed(await preflight(origin))).toBeNull();
  });

  it('has a readable response only if the key of the request allows the origin', async () => {
    const key = await newKey({ allowed_domains: ['one.test'] });
    await newKey({ allowed_domains: ['two.test'] });
    expect(allowed(await ask('https://one.test', key.public_key))).toBe('https://one.test');
    expect(allowed(await ask('https://one.test', key.key))).toBe('https://one.test');
    const refused = await ask('https://two.test', key.public_key);
    expect(refused.status).toBe(403);
    expect(allowed(refused)).toBeNull();
    expect(allowed(await ask('https://one.test', 'nonsense'))).toBeNull();
    await ada.client.apiKeys.disable({ params: { id: key.id } });
    const disabled = await ask('https://one.test', key.public_key);
    expect(disabled.status).toBe(401);
    expect(allowed(disabled)).toBe('https://one.test');
  });
});

describe('a key with allowed addresses, behind an unknown proxy', () => {
  it('is denied with a hint, even if the address of the proxy is allowed', async () => {
    const { key } = await newKey({ allowed_ips: ['127.0.0.0/8', '::1'] });
    const ask = (headers: Record<string, string>) =>
      fetch(`${deployment.url}/api/v1/whoami`, { headers: { 'x-api-key': key, ...headers } });
    expect((await ask({})).status).toBe(200);
    for (const headers of [
      { 'x-forwarded-for': '127.0.0.1' },
      { forwarded: 'for=127.0.0.1' },
      { 'x-real-ip': '127.0.0.1' },
      { 'x-forwarded-proto': 'https' },
      { 'x-forwarded-host': 'keys.example.com' },
    ]) {
      const refused = await ask(headers as unknown as Record<string, string>);
      expect(await refused.json()).toMatchObject({
        code: 'ip_not_allowed',
        detail: expect.stringContaining('TRUST_PROXY'),
      });
    }
  });
});
