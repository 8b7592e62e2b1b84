import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { z } from 'zod';
import { generateToken } from '#libs/api-key-format/token.js';
import type { ApiKey } from '#libs/contract/api-key-schemas.js';
import type { Account } from '../../support/deployment.js';
import { eventually } from '../../support/eventually.js';
import { codeOf } from '../../support/rejection.js';
import { curl, withCurl } from '../curl.js';
import { plainBlocksOf, plainListUnder, readDocument, replaced, sha256Of } from '../document.js';
import { startVendor, type Vendor } from '../vendor.js';
import { replacements } from './replacements.js';

const DAY_MS = 86_400_000;

const text = await readDocument('agentsgt/agentsgt.txt');
const blocks = plainBlocksOf(text);
const headers = [...text.matchAll(/^Authorization: .+$/gm)].map(([header]) => header);
const columns = [...text.matchAll(/^\| ([\w ]+) \| (.+) \|$/gm)].map(([, name, description]) => [name, description]);

let vendor: Vendor;
let ada: Account;

beforeAll(async () => {
  vendor = await startVendor();
  ada = await vendor.deployment.account();
});

afterAll(() => vendor.stop());

/** Creates a key with the fields of the document's form: a name, and optional allowed domains. */
function newKey(allowedDomains: string[] = [], owner = ada) {
  return owner.client.apiKeys.create({ body: { name: 'Production Website', allowed_domains: allowedDomains } });
}

interface Pair {
  readonly public_key: string;
  readonly key: string;
}

/** The documented header with a real pair. */
function authorization({ public_key: publicKey, key: secretKey }: Pair): string {
  return replaced(headers[0]!, replacements({ host: vendor.url, publicKey, secretKey })).slice(
    'Authorization: '.length,
  );
}

const ask = (authorization: string, origin?: string) => vendor.ask({ authorization, ...(origin && { origin }) });
const askWithPair = (pair: Pair, origin?: string) => ask(authorization(pair), origin);
const askWithPublicKey = ({ public_key: publicKey }: { public_key: string }, origin?: string) =>
  ask(`Bearer ${publicKey}`, origin);

describe('the copy', () => {
  it('is the published document, byte for byte', () => {
    expect(sha256Of(text)).toBe('0e3ff2ce37e176b8535c44fc4a34a1af5fb7a61c6e204ab3ce209db4e03e5db8');
  });

  it('has exactly this request and this header, which run with their host and credentials replaced', () => {
    expect(blocks.map(({ language }) => language)).toEqual(['bash']);
    expect(text.match(/curl /g)).toHaveLength(1);
    expect(headers).toEqual(['Authorization: Bearer pk_xxx:sk_xxx', 'Authorization: Bearer pk_xxx:sk_xxx']);
    const printed = [blocks[0]!.text, headers[0]!].join('\n');
    for (const [placeholder] of replacements({ host: '' })) expect(printed).toContain(placeholder);
    const real = { host: '', publicKey: '', secretKey: '' };
    expect(replaced(printed, replacements(real))).not.toMatch(/https?:|[ps]k_/);
  });
});

withCurl('the example request', () => {
  it('gets the agents with the documented request, except for its host and its pair', async () => {
    const { public_key: publicKey, key: secretKey } = await newKey();
    const answer = await curl(replaced(blocks[0]!.text, replacements({ host: vendor.url, publicKey, secretKey })));
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ data: expect.arrayContaining([expect.anything()]) });
  });
});

describe('a request', () => {
  it('needs a key', async () => {
    expect(await vendor.ask({})).toBe('401 unauthenticated');
  });
});

describe('a new key', () => {
  it('is a pair: the public key identifies it, the secret key authenticates', async () => {
    const pair = await newKey();
    expect(pair.public_key).toMatch(/^pk_/);
    expect(pair.key).toMatch(/^sk_/);
    expect(await askWithPair(pair)).toBe('200');
    expect(await ask(`Bearer ${pair.key}`)).toBe('200');
    expect(await askWithPublicKey(pair)).toBe('403 origin_not_allowed');
  });

  it('shows its secret key once, in the response that creates it, and its public key always', async () => {
    const { id, key, public_key: publicKey } = await newKey();
    const params = { id };
    const later = [
      await ada.client.apiKeys.get({ params }),
      (await ada.client.apiKeys.list()).data.find((listed) => listed.id === id),
      await ada.client.apiKeys.update({ params, body: { name: 'Renamed' } }),
      await ada.client.apiKeys.disable({ params }),
      await ada.client.apiKeys.enable({ params }),
    ];
    for (const answer of later) {
      expect(answer).toMatchObject({ public_key: publicKey });
      expect(answer).not.toHaveProperty('key');
      expect(JSON.stringify(answer)).not.toContain(key.slice(-22));
    }
  });

  it('is limited to the websites of its allowed domains from the beginning', async () => {
    const pair = await newKey(['example.com']);
    expect(await askWithPublicKey(pair, 'https://example.com')).toBe('200');
    expect(await askWithPublicKey(pair, 'https://elsewhere.test')).toBe('403 origin_not_allowed');
  });
});

describe('authentication', () => {
  it('is tested here, step by step', () => {
    expect(plainListUnder(text, 'What Happens During Authentication')).toEqual([
      'The API extracts the public key and secret key from the header',
      "Validates the key exists, is enabled, and hasn't expired",
      'If the secret key is provided, origin validation is skipped',
      'If only the public key is provided, the request origin is checked against allowed domains',
      'The organization ID associated with the key is passed to the endpoint',
    ]);
  });

  it('both keys are read from the header, and must be the halves of one pair in their order', async () => {
    const [one, other] = [await newKey(), await newKey()];
    expect(await askWithPair(one)).toBe('200');
    expect(await askWithPair({ public_key: other.public_key, key: one.key })).toBe('401 invalid_key');
    expect(await askWithPair({ public_key: one.key, key: one.public_key })).toBe('401 invalid_key');
    expect(await askWithPair({ public_key: one.public_key, key: `${one.key.slice(0, -1)}?` })).toBe('401 invalid_key');
  });

  it('a pair that was never issued is rejected', async () => {
    const neverIssued = { public_key: generateToken('pk_test'), key: generateToken('sk_test') };
    expect(await askWithPair(neverIssued)).toBe('401 invalid_key');
    expect(await askWithPublicKey(neverIssued, 'https://example.com')).toBe('401 invalid_key');
  });

  it('a key that is disabled is rejected, with its secret and without', async () => {
    const pair = await newKey(['example.com']);
    await ada.client.apiKeys.disable({ params: { id: pair.id } });
    expect(await askWithPair(pair)).toBe('401 disabled');
    expect(await askWithPublicKey(pair, 'https://example.com')).toBe('401 disabled');
  });

  it('a key that has expired is rejected, with its secret and without', async () => {
    const pair = await ada.client.apiKeys.create({
      body: { name: 'Mobile App', allowed_domains: ['example.com'], expires_in_days: 1 },
    });
    expect(await askWithPair(pair)).toBe('200');
    vendor.deployment.advance(DAY_MS);
    expect(await askWithPair(pair)).toBe('401 expired');
    expect(await askWithPublicKey(pair, 'https://example.com')).toBe('401 expired');
    vendor.deployment.advance(-DAY_MS);
  });

  it('the origin is ignored when the secret key is given', async () => {
    const pair = await newKey(['example.com']);
    for (const origin of [undefined, 'https://elsewhere.test', 'null', 'no origin at all']) {
      expect(await askWithPair(pair, origin)).toBe('200');
    }
  });

  it('the origin is checked against an exact host and against every subdomain when only the public key is given', async () => {
    expect(text).toContain('example.com— Exact domain match*.example.com— Wildcard: matches any subdomain');
    const [exact, wildcard] = [await newKey(['example.com']), await newKey(['*.example.com'])];
    const answers = async (pair: Pair) =>
      Object.fromEntries(
        await Promise.all(
          [
            'https://example.com',
            'http://example.com:8080',
            'https://www.example.com',
            'https://a.b.example.com',
            'https://evilexample.com',
            'https://example.com.evil.test',
            'null',
          ].map(async (origin) => [origin, await askWithPublicKey(pair, origin)]),
        ),
      );
    const refused = '403 origin_not_allowed';
    const others = {
      'https://evilexample.com': refused,
      'https://example.com.evil.test': refused,
      null: refused,
    };
    expect(await answers(exact)).toEqual({
      'https://example.com': '200',
      'http://example.com:8080': '200',
      'https://www.example.com': refused,
      'https://a.b.example.com': refused,
      ...others,
    });
    expect(await answers(wildcard)).toEqual({
      'https://example.com': refused,
      'http://example.com:8080': refused,
      'https://www.example.com': '200',
      'https://a.b.example.com': '200',
      ...others,
    });
    expect(await askWithPublicKey(exact)).toBe(refused);
  });

  it('the endpoint gets the organization of the key', async () => {
    const bob = await vendor.deployment.account();
    for (const owner of [ada, bob]) {
      const pair = await newKey(['example.com'], owner);
      for (const headers of [
        { authorization: authorization(pair) },
        { authorization: `Bearer ${pair.public_key}`, origin: 'https://example.com' },
      ]) {
        const response = await fetch(`${vendor.url}/api/v1/agents`, { headers });
        expect(await response.json()).toMatchObject({ organization_id: owner.organizationId });
      }
    }
  });
});

/**
 * The document's columns, filled from one row of a list only. In the document, a key that does not work is disabled.
 */
function row(key: z.infer<typeof ApiKey>) {
  return {
    Name: key.name,
    'Public Key': key.public_key,
    'Last Used': key.last_used_at,
    Status: key.status === 'active' ? 'Enabled' : 'disabled',
  };
}

describe('the list', () => {
  it('has the documented columns from one request, and every key of the organization, whoever created it', async () => {
    expect(columns).toEqual([
      ['Column', 'Description'],
      ['Name', 'The descriptive name you gave the key'],
      ['Public Key', 'The pk_xxx portion (safe to display)'],
      ['Last Used', 'When the key was last used for an API call'],
      ['Status', 'Enabled or disabled'],
    ]);
    const { id: organizationId } = await ada.client.organizations.create({ body: { name: 'Acme' } });
    const { token } = await ada.client.invitations.create({ params: { id: organizationId }, body: { role: 'admin' } });
    const bob = await vendor.deployment.account(token);
    const inAcme = (owner: Account, name: string) =>
      owner.client.apiKeys.create({ body: { name, organization_id: organizationId } });
    const production = await inAcme(ada, 'Production Website');
    const mobile = await inAcme(bob, 'Mobile App');
    await newKey();
    expect(await askWithPair(production)).toBe('200');
    await ada.client.apiKeys.disable({ params: { id: mobile.id } });

    const { data } = await eventually(
      () => ada.client.apiKeys.list({ query: { organization_id: organizationId, sort: '-name' } }),
      ({ data: [first] }) => first!.last_used_at !== null,
    );
    expect(data.map(row)).toEqual([
      {
        Name: 'Production Website',
        'Public Key': production.public_key,
        'Last Used': expect.stringMatching(/Z$/),
        Status: 'Enabled',
      },
      { Name: 'Mobile App', 'Public Key': mobile.public_key, 'Last Used': null, Status: 'disabled' },
    ]);
    expect(Object.keys(row(data[0]!))).toEqual(columns.slice(1).map(([name]) => name));
  });

  it('shows an unexpected API call in the last use, and the audit log has its source', async () => {
    const pair = await newKey();
    const { id } = pair;
    const afterUses = (count: number) =>
      eventually(
        () => ada.client.apiKeys.get({ params: { id } }),
        ({ usage_count }) => usage_count === count,
      );
    await askWithPair(pair);
    const expected = await afterUses(1);
    await askWithPair(pair);
    const unexpected = await afterUses(2);
    expect(Date.parse(unexpected.last_used_at!)).toBeGreaterThan(Date.parse(expected.last_used_at!));
    const [latest] = (await ada.client.audit.listEvents({ query: { key_id: id, type: 'api_key.used' } })).data;
    expect(latest!.event).toMatchObject({
      time: unexpected.last_used_at,
      data: { path: '/api/v1/agents', ip: '127.0.0.1', user_agent: 'node' },
    });
  });
});

describe('a key', () => {
  it('that is disabled stops working immediately, is not deleted, and works again when it is enabled', async () => {
    const pair = await newKey();
    const params = { id: pair.id };
    for (let round = 0; round < 3; round++) {
      expect(await askWithPair(pair)).toBe('200');
      await ada.client.apiKeys.disable({ params });
      expect(await askWithPair(pair)).toBe('401 disabled');
      expect(await ada.client.apiKeys.get({ params })).toMatchObject({ status: 'disabled' });
      await ada.client.apiKeys.enable({ params });
    }
    expect(await askWithPair(pair)).toBe('200');
  });

  it('works from pages of its current domains, and not of earlier ones', async () => {
    const pair = await newKey(['before.test']);
    expect(await askWithPublicKey(pair, 'https://before.test')).toBe('200');
    const { allowed_domains: saved } = await ada.client.apiKeys.update({
      params: { id: pair.id },
      body: { allowed_domains: ['example.com', '*.example.com'] },
    });
    expect(saved).toEqual(['example.com', '*.example.com']);
    expect(await askWithPublicKey(pair, 'https://before.test')).toBe('403 origin_not_allowed');
    expect(await askWithPublicKey(pair, 'https://example.com')).toBe('200');
    expect(await askWithPublicKey(pair, 'https://shop.example.com')).toBe('200');
  });

  it('without domains works with its secret key from any origin, and without the secret from none', async () => {
    const pair = await newKey([]);
    for (const origin of [undefined, 'https://example.com', 'https://elsewhere.test']) {
      expect(await askWithPair(pair, origin)).toBe('200');
      expect(await askWithPublicKey(pair, origin)).toBe('403 origin_not_allowed');
    }
  });

  it('that is deleted never works again, with its secret and without', async () => {
    const pair = await newKey(['example.com']);
    const params = { id: pair.id };
    expect(await askWithPair(pair)).toBe('200');
    await ada.client.apiKeys.delete({ params });
    expect(await askWithPair(pair)).toBe('401 revoked');
    expect(await askWithPublicKey(pair, 'https://example.com')).toBe('401 revoked');
    expect((await ada.client.apiKeys.list({ query: { search: pair.public_key } })).data).toEqual([]);
    expect(await codeOf(ada.client.apiKeys.enable({ params }))).toBe('not_found');
    expect(await codeOf(ada.client.apiKeys.rotate({ params }))).toBe('not_found');
  });

  it('is rotated as documented: a new one is created, the apps are updated, the old one is deleted', async () => {
    const old = await newKey();
    const next = await newKey();
    expect([await askWithPair(old), await askWithPair(next)]).toEqual(['200', '200']);
    await ada.client.apiKeys.delete({ params: { id: old.id } });
    expect([await askWithPair(old), await askWithPair(next)]).toEqual(['401 revoked', '200']);
  });

  it('for development is independent of the one for production', async () => {
    const create = (name: string, environment: 'test' | 'live') =>
      ada.client.apiKeys.create({ body: { name, environment } });
    const [development, production] = [await create('Development', 'test'), await create('Production Website', 'live')];
    await ada.client.apiKeys.delete({ params: { id: development.id } });
    expect([await askWithPair(development), await askWithPair(production)]).toEqual(['401 revoked', '200']);
  });
});
