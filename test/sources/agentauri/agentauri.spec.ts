import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import axios from 'axios';
import type { Client } from '#libs/client/client.js';
import type { Account, Deployment } from '../../support/deployment.js';
import { eventually } from '../../support/eventually.js';
import { curl, DOCUMENTS, execute, withCurl } from '../curl.js';
import { describeWith } from '../../support/left-out.js';
import { fencedBlocksOf, listUnder, readDocument, replaced, sha256Of, shapeOf } from '../document.js';
import { oneHost, type OneHost } from '../one-host.js';
import { startVendor, type Vendor } from '../vendor.js';
import { KEY_VARIABLE, NODE_ARGUMENTS, replacements, type Real } from './replacements.js';
import { storedEntries } from '../../support/audit-log.js';

const text = await readDocument('agentauri/agentauri.md');
const blocks = fencedBlocksOf(text);
const documentedScopes = [...text.matchAll(/^\| `(.+?)` \|/gm)].map(([, scope]) => scope!);

const withPython = describeWith(
  'python3',
  ['-c', 'import requests'],
  DOCUMENTS,
  'install python3 and python3-requests',
);

let deployment: Deployment;
let ada: Account;
let vendor: Vendor;
let service: Client;
let host: OneHost;

beforeAll(async () => {
  vendor = await startVendor();
  ({ deployment } = vendor);
  ada = await deployment.account();
  service = deployment.client({ apiKey: vendor.serviceKey });
  host = await oneHost((path) => (path.startsWith('/api/v1/triggers') ? vendor.url : deployment.url));
});

afterAll(async () => {
  await host.stop();
  await vendor.stop();
});

function newKey(owner: Account, scopes: string[], name = 'Production Server') {
  return owner.client.apiKeys.create({ body: { name, scopes } });
}

function block(heading: string, language: string): string {
  const found = blocks.filter((block) => block.heading === heading && block.language === language);
  expect(found).toHaveLength(1);
  return found[0]!.text;
}

/** An example with the real host, ids and credentials. */
function runnable(heading: string, language: string, real: Omit<Real, 'host'>): string {
  return replaced(block(heading, language), replacements({ host: host.url, ...real }));
}

/** Runs the curl command under a heading. */
function documentedCurl(heading: string, real: Omit<Real, 'host'>) {
  return curl(runnable(heading, 'bash', real));
}

function documentedShape(heading: string): object {
  return shapeOf(JSON.parse(block(heading, 'json'))) as object;
}

function triggers(key: string): Promise<Response> {
  return fetch(`${host.url}/api/v1/triggers`, { headers: { 'X-API-Key': key } });
}

async function statusOf(key: string, method: string, path: string, body?: object): Promise<number> {
  const headers = { 'X-API-Key': key, ...(body && { 'Content-Type': 'application/json' }) };
  const request = { method, headers, ...(body && { body: JSON.stringify(body) }) };
  return (await fetch(`${host.url}/api/v1${path}`, request)).status;
}

const createTrigger = (key: string) =>
  statusOf(key, 'POST', '/triggers', { name: 'Refund', event: 'payment.refunded' });

describe('the copy', () => {
  it('is the published document, byte for byte', () => {
    expect(sha256Of(text)).toBe('576045a9f2b8e339dca1aec9618dd5d4417e02179bdde6a58f3c4956c66caf6a');
  });

  it('has exactly these blocks: each is run or compared below', () => {
    expect(blocks.map(({ heading, language }) => `${heading}: ${language || 'text'}`)).toEqual([
      'Key Format: text',
      'Creating API Keys: bash',
      'Creating API Keys: json',
      'Listing API Keys: bash',
      'Listing API Keys: json',
      'Rotating API Keys: bash',
      'Rotating API Keys: json',
      'Revoking API Keys: bash',
      'Example: Node.js Integration: javascript',
      'Example: Python Integration: python',
    ]);
    expect(text.match(/^```/gm)).toHaveLength(2 * blocks.length);
  });

  it('runs with its host, ids and credentials replaced', () => {
    const scripts = blocks.filter(({ language }) => ['bash', 'javascript', 'python'].includes(language));
    const printed = replacements({ host: '' }).map(([printed]) => printed);
    for (const placeholder of [...printed, KEY_VARIABLE]) {
      expect(scripts.filter(({ text }) => text.includes(placeholder))).not.toEqual([]);
    }
    const left = printed.reduce((rest, placeholder) => rest.replaceAll(placeholder, ''), JSON.stringify(scripts));
    expect(left).not.toMatch(/https?:|YOUR_|\b(org|key)_\d/);
  });
});

describe('the key format', () => {
  // The samples in the document have 30 and 33 characters. The test follows its text, which says 32.
  it.each(['test', 'live'] as const)('has the documented format in the environment %s', async (environment) => {
    const [secret, environments, random] = listUnder(text, 'Key Format');
    expect([secret, environments, random]).toEqual([
      '`sk_` - Secret key prefix',
      '`test_` or `live_` - Environment indicator',
      '32-character random string',
    ]);
    const { key } = await ada.client.apiKeys.create({ body: { name: 'Format', environment } });
    expect(key).toMatch(new RegExp(`^sk_${environment}_[0-9A-Za-z]{32}$`));
  });
});

withCurl('a key', () => {
  it('is created as documented, and shown once', async () => {
    const { status, body } = await documentedCurl('Creating API Keys', ada);
    expect(status).toBe(201);
    expect(shapeOf(body)).toMatchObject(documentedShape('Creating API Keys'));
    expect(body).toMatchObject({
      name: 'Production Webhook Server',
      organization_id: ada.organizationId,
      scopes: ['triggers:read', 'triggers:write', 'events:read'],
    });
    expect(body!['key']).toMatch(/^sk_test_[0-9A-Za-z]{32}$/);
    expect((await triggers(body!['key'] as string)).status).toBe(200);
  });

  it('is listed as documented, with its last use, and never with its value', async () => {
    const bob = await deployment.account();
    const { id, key } = await newKey(bob, ['triggers:read']);
    await deployment.client({ apiKey: key }).auth.whoami();
    await eventually(
      () => bob.client.apiKeys.get({ params: { id } }),
      ({ last_used_at }) => last_used_at !== null,
    );

    const { status, body } = await documentedCurl('Listing API Keys', bob);
    expect(status).toBe(200);
    expect(shapeOf(body)).toMatchObject(documentedShape('Listing API Keys'));
    expect(body).toMatchObject({ data: [{ id, name: 'Production Server', scopes: ['triggers:read'] }], total: 1 });

    const got = await bob.client.apiKeys.get({ params: { id } });
    for (const answer of [(body!['data'] as object[])[0]!, got]) {
      expect(answer).not.toHaveProperty('key');
      expect(JSON.stringify(answer)).not.toContain(key.slice(-22));
    }
  });

  it('is rotated as documented: "The old key is immediately invalidated"', async () => {
    const { id, key, name } = await newKey(ada, ['triggers:read']);
    expect((await triggers(key)).status).toBe(200);

    const { status, body } = await documentedCurl('Rotating API Keys', { ...ada, keyId: id });
    const oldKey = await triggers(key);
    expect(text).toContain('The old key is immediately invalidated.');
    expect(oldKey.status).toBe(401);
    expect(status).toBe(200);
    expect(shapeOf(body)).toMatchObject(documentedShape('Rotating API Keys'));
    expect(body).toMatchObject({ id, name });
    expect(body!['key']).not.toBe(key);
    expect((await triggers(body!['key'] as string)).status).toBe(200);
  });

  it('is revoked as documented: it is no longer accepted or listed', async () => {
    const { id, key } = await newKey(ada, ['triggers:read']);
    expect((await triggers(key)).status).toBe(200);
    expect(await documentedCurl('Revoking API Keys', { ...ada, keyId: id })).toEqual({ status: 204, body: undefined });
    expect((await triggers(key)).status).toBe(401);
    expect((await ada.client.apiKeys.list()).data.map((listed) => listed.id)).not.toContain(id);
  });

  it('has all its operations in the audit log, with the documented fields', async () => {
    expect(listUnder(text, 'Audit Logging')).toEqual([
      'Key creation (with scopes)',
      'Key usage (endpoint, IP, timestamp)',
      'Key rotation',
      'Key revocation',
    ]);
    const { body: created } = await documentedCurl('Creating API Keys', ada);
    const { id, key } = created as { id: string; key: string };
    expect((await triggers(key)).status).toBe(200);
    expect(await createTrigger(key)).toBe(201);
    const { body: rotated } = await documentedCurl('Rotating API Keys', { ...ada, keyId: id });
    await documentedCurl('Revoking API Keys', { ...ada, keyId: id });

    const trail = await eventually(
      () => ada.client.audit.listEvents({ query: { key_id: id, order: 'asc' } }),
      ({ data }) => data.length >= 5,
    );
    const user = { type: 'user', id: ada.userId };
    const endpoint = { path: '/api/v1/triggers', ip: '127.0.0.1' };
    expect(trail.data.map(({ event }) => event)).toMatchObject([
      { type: 'api_key.created', data: { scopes: created!['scopes'], actor: user } },
      { type: 'api_key.used', data: { method: 'GET', ...endpoint } },
      { type: 'api_key.used', data: { method: 'POST', ...endpoint } },
      { type: 'api_key.rotated', data: { actor: user } },
      { type: 'api_key.revoked', data: { actor: user } },
    ]);
    const [, ...uses] = trail.data.slice(0, 3).map(({ event }) => event.time);
    const times = [created!['created_at'], ...uses, rotated!['rotated_at']] as string[];
    expect(times).toEqual(times.toSorted());
  });

  it('that is unused is found by its last_used_at', async () => {
    const bob = await deployment.account();
    const used = await newKey(bob, ['triggers:read'], 'In use');
    const inactive = await newKey(bob, ['triggers:read'], 'Inactive');
    expect((await triggers(used.key)).status).toBe(200);
    const { data: uses } = await eventually(
      () => bob.client.audit.listEvents({ query: { key_id: used.id, type: 'api_key.used' } }),
      ({ data }) => data.length > 0,
    );
    const { body } = await documentedCurl('Listing API Keys', bob);
    expect(body).toMatchObject({
      data: [
        { id: inactive.id, last_used_at: null },
        { id: used.id, last_used_at: uses[0]!.event.time },
      ],
    });
  });
});

/** Requests that need each documented scope. They return their statuses. */
const needs: Record<string, (key: string) => Promise<number[]>> = {
  'triggers:read': async (key) => [(await triggers(key)).status],
  'triggers:write': async (key) => [await createTrigger(key)],
  'events:read': async (key) => [await verified(key, 'events:read')],
  'organizations:read': async (key) => [
    await statusOf(key, 'GET', '/organizations'),
    await statusOf(key, 'GET', `/organizations/${ada.organizationId}`),
  ],
  'organizations:write': async (key) => [
    await statusOf(key, 'PATCH', `/organizations/${ada.organizationId}`, { name: 'Renamed' }),
    await statusOf(key, 'POST', '/projects', { name: 'Shop' }),
  ],
  'api-keys:manage': async (key) => {
    const { id } = await newKey(ada, ['api-keys:manage']);
    return [
      await statusOf(key, 'POST', '/api-keys', { name: 'By a key', scopes: ['api-keys:manage'] }),
      await statusOf(key, 'GET', '/api-keys'),
      await statusOf(key, 'DELETE', `/api-keys/${id}`),
    ];
  },
};

/** Verifies the key for a scope that no endpoint of ours needs, as a service with such an endpoint does. */
async function verified(key: string, scope: string): Promise<number> {
  const { code } = await service.apiKeys.verify({ body: { key, scopes: [scope] } });
  return { valid: 200, insufficient_scope: 403 }[code as string] ?? 401;
}

describe('the scopes', () => {
  it('are all tested here', () => {
    expect(documentedScopes).toEqual(Object.keys(needs));
  });

  it.each(documentedScopes)('%s can be granted, and alone opens the routes that need it', async (scope) => {
    const others = documentedScopes.filter((other) => other !== scope);
    const [granted, lacking] = [await newKey(ada, [scope]), await newKey(ada, others)];
    expect(granted.scopes).toEqual([scope]);
    expect((await needs[scope]!(granted.key)).filter((status) => status >= 300)).toEqual([]);
    expect(new Set(await needs[scope]!(lacking.key))).toEqual(new Set([403]));
  });
});

describe('the database', () => {
  it('has Argon2id hashes, and no key in any table', async () => {
    expect(text).toContain('API keys are hashed using **Argon2id** before storage. We never store plaintext keys.');
    const { id, key } = await newKey(ada, ['triggers:read']);
    expect((await triggers(key)).status).toBe(200);
    await eventually(
      () => ada.client.apiKeys.get({ params: { id } }),
      ({ usage_count }) => usage_count === 1,
    );
    const stored = await deployment.sql.query<{ hash: string }>('SELECT hash FROM api_key_secret');
    expect(stored.rows.map(({ hash }) => hash).filter((hash) => !hash.startsWith('$argon2id$'))).toEqual([]);

    // The search finds texts that are not secret, in text and in bytes.
    expect(await tablesWith(key.slice(8, 18))).toContain('public.api_key_secret');
    expect(await tablesWith('specversion')).toContain('the audit log');
    expect(await tablesWith(key.slice(-22))).toEqual([]);
  });
});

/** The tables with a row that contains the text, as text or as bytes. */
async function tablesWith(text: string): Promise<string[]> {
  const { rows: tables } = await deployment.sql.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
     WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
  );
  const patterns = [text, Buffer.from(text).toString('hex')].map((needle) => `%${needle}%`);
  const found: string[] = [];
  for (const { name } of tables) {
    const { rowCount } = await deployment.sql.query(`SELECT 1 FROM ${name} t WHERE t::text LIKE ANY($1)`, [patterns]);
    if (rowCount) found.push(name);
  }
  const entries = await storedEntries(deployment.sql);
  return entries.some(({ entry }) => entry.includes(text)) ? [...found, 'the audit log'] : found;
}

describe('the Node example', () => {
  it('prints the triggers', async () => {
    const { id, key } = await newKey(ada, ['triggers:read']);
    const script = runnable('Example: Node.js Integration', 'javascript', {});
    const printed = await execute(process.execPath, NODE_ARGUMENTS, { [KEY_VARIABLE]: key }, script);
    expect(printed).toBe(`${inspect(await (await triggers(key)).json())}\n`);
    expect(await userAgentsOf(id)).toContain(`axios/${axios.VERSION}`);
  });
});

withPython('the Python example', () => {
  it('has the triggers at the end', async () => {
    const { id, key } = await newKey(ada, ['triggers:read']);
    const script = runnable('Example: Python Integration', 'python', {});
    // The example prints nothing. Interactive mode lets the test ask for its result afterwards.
    const question = 'import json; print(json.dumps(triggers))\n';
    const printed = await execute('python3', ['-i', '-c', script], { [KEY_VARIABLE]: key }, question);
    expect(JSON.parse(printed)).toEqual(await (await triggers(key)).json());
    expect(await userAgentsOf(id)).toContainEqual(expect.stringContaining('python-requests'));
  });
});

/**
 * The user agents of both uses of the key, once both are in the audit log: the example's use, and ours to compare with.
 */
async function userAgentsOf(keyId: string): Promise<unknown[]> {
  const { data } = await eventually(
    () => ada.client.audit.listEvents({ query: { key_id: keyId, type: 'api_key.used' } }),
    ({ data }) => data.length === 2,
  );
  return data.map(({ event }) => event.data['user_agent']);
}
