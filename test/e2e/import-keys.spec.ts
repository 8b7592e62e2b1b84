import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import type { Client } from '#libs/client/client.js';
import { toUuid } from '#libs/contract/ids.js';
import { builtModule } from '../support/built-module.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { eventually } from '../support/eventually.js';
import { storedEntries } from '../support/audit-log.js';
import { codeOf, rejection } from '../support/rejection.js';
import { waitingStatements } from '../support/waiting-statements.js';

const { DATABASE_POOL, VERIFICATION_POOL } =
  await builtModule<typeof import('#libs/database/database.js')>('#libs/database/database.js');
const { ImportedTokens } = await builtModule<typeof import('#libs/api-keys/verification/imported-tokens.js')>(
  '#libs/api-keys/verification/imported-tokens.js',
);

type Row = Parameters<Client['apiKeys']['import']>[0]['body']['keys'][number];

let deployment: Deployment;
let ada: Account;
let service: Client;
/** The statements about keys that the API has sent. */
const statements: string[] = [];

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  const { key } = await ada.client.apiKeys.create({ body: { name: 'Service', scopes: ['api-keys:verify'] } });
  service = deployment.client({ apiKey: key });
  for (const name of [DATABASE_POOL, VERIFICATION_POOL]) note(deployment.api.get<pg.Pool>(name));
});

afterAll(() => deployment.stop());

function note(pool: pg.Pool): void {
  const query = pool.query.bind(pool) as (
    statement: string | { name?: string; text: string },
    ...rest: unknown[]
  ) => unknown;
  pool.query = ((statement: string | { name?: string; text: string }, ...rest: unknown[]) => {
    const { name, text } = typeof statement === 'string' ? { name: undefined, text: statement } : statement;
    if (text.includes('api_key')) statements.push(name ?? text);
    return query(statement, ...rest);
  }) as typeof pool.query;
}

const newToken = (prefix = 'acme_') => prefix + randomBytes(24).toString('hex');
const sha256 = (token: string) => createHash('sha256').update(token);
const rowOf = (token: string, more: Partial<Row> = {}): Row => ({
  hash: sha256(token).digest('hex'),
  name: 'Moved',
  scopes: ['triggers:read'],
  ...more,
});
const importRows = (keys: Row[], more: { organization_id?: string; dry_run?: boolean } = {}, by = ada) =>
  by.client.apiKeys.import({ body: { keys, ...more } });
async function imported(token: string, more: Partial<Row> = {}): Promise<string> {
  const { data } = await importRows([rowOf(token, more)]);
  return data[0]!.id!;
}
const verify = async (key: string) => (await service.apiKeys.verify({ body: { key } })).code;
const authz = async (headers: Record<string, string>) =>
  (await fetch(`${deployment.url}/authz?scope=triggers:read`, { headers })).status;
const keysOf = async ({ client, organizationId }: Account) =>
  (await client.apiKeys.list({ query: { organization_id: organizationId } })).total;

/** Presents unknown tokens, some at the same time, and returns the statements for them. */
async function flood(count: number): Promise<readonly string[]> {
  statements.length = 0;
  const ask = async (part: number) => {
    for (let n = part; n < count; n += 20) {
      expect(await authz({ 'x-api-key': newToken() })).toBe(401);
      expect(await authz({ 'x-api-key': `sk_live_${'0'.repeat(32)}` })).toBe(401);
    }
  };
  await Promise.all(Array.from({ length: 20 }, (_, part) => ask(part)));
  return statements.splice(0);
}

describe('an unknown token', () => {
  it('costs at most one statement a second before the first import', async () => {
    const tokens = deployment.api.get(ImportedTokens, { strict: false });
    const { noneMs } = tokens;
    tokens.noneMs = 1_000;
    const begunAt = performance.now();
    const sent = await flood(200);
    const seconds = Math.floor((performance.now() - begunAt) / 1000);
    tokens.noneMs = noneMs;
    // This is how long the node relies on what the last statement found.
    await sleep(1_000);
    expect(new Set(sent)).toEqual(new Set(['imported-tokens']));
    expect(sent.length).toBeLessThanOrEqual(seconds + 1);
  });

  it('costs at most one indexed lookup after it, which others share', async () => {
    await imported(newToken());
    const sent = await flood(200);
    expect(new Set(sent)).toEqual(new Set(['imported-tokens']));
    expect(sent.length).toBeLessThan(400);
  });
});

describe('an imported token', () => {
  it('is accepted as soon as the import has returned, although it was presented before', async () => {
    const token = newToken();
    expect(await authz({ 'x-api-key': token })).toBe(401);
    expect(await verify(token)).toBe('invalid_key');
    const id = await imported(token, { external_id: 'customer-1', metadata: { plan: 'pro' } });
    expect(await authz({ 'x-api-key': token })).toBe(200);
    expect(await authz({ authorization: `Bearer ${token}` })).toBe(200);
    const { code, api_key: apiKey } = await service.apiKeys.verify({ body: { key: token, scopes: ['triggers:read'] } });
    expect({ code, apiKey }).toMatchObject({
      code: 'valid',
      apiKey: { id, external_id: 'customer-1', metadata: { plan: 'pro' } },
    });
    expect((await service.apiKeys.verify({ body: { key: token, scopes: ['events:read'] } })).code).toBe(
      'insufficient_scope',
    );
  });

  it('is a credential of this API, too', async () => {
    const token = newToken();
    const id = await imported(token, { scopes: ['api-keys:read'] });
    for (const credential of [{ apiKey: token }, { accessToken: token }]) {
      expect(await deployment.client(credential).auth.whoami()).toMatchObject({ api_key: { id } });
    }
    expect((await deployment.client({ apiKey: token }).apiKeys.get({ params: { id } })).imported).toBe(true);
  });

  it('is hashed like any other secret once it was presented, and still accepted', async () => {
    const token = newToken();
    const id = await imported(token);
    const stored = async () =>
      (
        await deployment.sql.query<{ handle: string; hash: string | null; digest: Buffer | null }>(
          `SELECT s.handle, s.hash, s.digest FROM api_key_secret s JOIN api_key k ON k.id = s.api_key_id
           WHERE k.public_key = $1`,
          [(await ada.client.apiKeys.get({ params: { id } })).public_key],
        )
      ).rows[0]!;
    expect(await stored()).toMatchObject({ hash: null, digest: null });
    expect(await verify(token)).toBe('valid');
    const { hash, digest } = await eventually(stored, (row) => row.hash !== null);
    expect(hash).toMatch(/^\$argon2id\$/);
    expect(digest).not.toBeNull();
    // A change evicts the key from the cache.
    await ada.client.apiKeys.update({ params: { id }, body: { name: 'Renamed' } });
    expect(await verify(token)).toBe('valid');
    expect(await verify(`${token}x`)).toBe('invalid_key');
  });

  it('is disabled, enabled, rotated into a native one and revoked like any other', async () => {
    const token = newToken();
    const id = await imported(token, { prefix: 'acme_12' });
    const params = { id };
    expect(await ada.client.apiKeys.get({ params })).toMatchObject({ imported: true, prefix: 'acme_12' });
    const list = async () => (await ada.client.apiKeys.list({ query: { imported: 'true', search: id } })).total;
    expect(await list()).toBe(1);
    await ada.client.apiKeys.disable({ params });
    expect(await verify(token)).toBe('disabled');
    await ada.client.apiKeys.enable({ params });
    expect(await verify(token)).toBe('valid');
    const { key, imported: isStill } = await ada.client.apiKeys.rotate({ params, body: { grace_period_seconds: 60 } });
    expect({ key, isStill }).toEqual({ key: expect.stringMatching(/^sk_test_\w{32}$/), isStill: false });
    expect([await verify(token), await verify(key)]).toEqual(['valid', 'valid']);
    expect(await list()).toBe(0);
    deployment.advance(61_000);
    expect([await verify(token), await verify(key)]).toEqual(['revoked', 'valid']);
    await ada.client.apiKeys.revoke({ params });
    expect([await verify(token), await verify(key)]).toEqual(['revoked', 'revoked']);
    // It does not work again.
    expect((await importRows([rowOf(token)])).data).toEqual([{ name: 'Moved', result: 'existing', id }]);
    expect(await verify(token)).toBe('revoked');
  });

  it('has 16 to 500 characters of printable ASCII', async () => {
    for (const token of ['~'.repeat(16), `!"#$%&'()*+-./:;<=>?@[\\]^_\`{|}`, newToken().padEnd(500, 'x')]) {
      await imported(token);
      expect(await verify(token)).toBe('valid');
    }
    for (const token of [
      'x'.repeat(15),
      'sixteen letters and blanks',
      'with,commas,inside,of,it',
      'ümläute-are-no-ascii',
    ]) {
      await imported(token);
      expect(await verify(token)).toBe('invalid_key');
    }
  });

  it('never takes the place of a native key', async () => {
    const { id, key } = await ada.client.apiKeys.create({ body: { name: 'Native', scopes: ['triggers:read'] } });
    await imported(key);
    expect((await service.apiKeys.verify({ body: { key } })).api_key?.id).toBe(id);
    await ada.client.apiKeys.revoke({ params: { id } });
    expect(await verify(key)).toBe('revoked');
  });
});

describe('an import', () => {
  it('changes nothing in a dry run, and says what it would do', async () => {
    const [known, unknown] = [newToken(), newToken()];
    const id = await imported(known);
    const before = await keysOf(ada);
    const outcome = await importRows([rowOf(known), rowOf(unknown, { name: 'New' })], { dry_run: true });
    expect(outcome).toEqual({
      organization_id: ada.organizationId,
      dry_run: true,
      imported: 1,
      existing: 1,
      data: [
        { name: 'Moved', result: 'existing', id },
        { name: 'New', result: 'imported', id: null },
      ],
    });
    expect([await keysOf(ada), await verify(unknown)]).toEqual([before, 'invalid_key']);
  });

  it('has at most one dry run of a user in progress, so that a flood of them delays no one', async () => {
    const locker = await deployment.sql.connect();
    await locker.query('BEGIN');
    await locker.query('SELECT FROM membership WHERE user_id = $1 FOR UPDATE', [toUuid(ada.userId)]);
    const runs = Promise.all(Array.from({ length: 8 }, () => importRows([rowOf(newToken())], { dry_run: true })));
    const waiting = () => waitingStatements(deployment.sql);
    try {
      await eventually(waiting, (count) => count > 0);
      // Time for the others to follow, if they may.
      await sleep(100);
      expect(await waiting()).toBe(1);
    } finally {
      await locker.query('ROLLBACK');
      locker.release();
    }
    expect((await runs).map(({ imported: count }) => count)).toEqual(Array.from({ length: 8 }, () => 1));
  });

  it('names each bad row, and imports none of the good ones', async () => {
    const before = await keysOf(ada);
    const token = newToken();
    const rows = [
      rowOf(token),
      rowOf(token),
      rowOf(newToken(), { scopes: ['rockets:launch'] }),
      rowOf(newToken(), { expires_at: '2020-01-01T00:00:00Z' }),
      rowOf(newToken(), { project_id: 'proj_01h455vb4pex5vsknk084sn02q' }),
    ];
    for (const dry_run of [true, false]) {
      const { problem } = await rejection(importRows(rows, { dry_run }));
      expect(problem.code).toBe('invalid_request');
      expect(problem.errors?.map(({ location }) => location)).toEqual([
        'body.keys[1].hash',
        'body.keys[2].scopes[0]',
        'body.keys[3].expires_at',
        'body.keys[4].project_id',
      ]);
    }
    const malformed = [
      rowOf(token),
      rowOf(token, { hash: 'abc' }),
      rowOf(token, { hash: sha256(token).digest('base64').slice(2) }),
    ];
    expect((await rejection(importRows(malformed))).problem.errors).toEqual([
      { location: 'body.keys[1].hash', message: expect.stringContaining('SHA-256') as unknown },
      { location: 'body.keys[2].hash', message: expect.stringContaining('SHA-256') as unknown },
    ]);
    expect([await keysOf(ada), await verify(token)]).toEqual([before, 'invalid_key']);
  });

  it('says which field of a row breaks the key policy, by the name that the row gives it', async () => {
    const { id } = await ada.client.organizations.create({ body: { name: 'Strict' } });
    await ada.client.keyPolicy.update({ params: { id }, body: { max_lifetime_days: 30 } });
    const rows = [
      rowOf(newToken(), { expires_in_days: 31 }),
      rowOf(newToken(), { expires_at: new Date(Date.now() + 86_400_000 * 31).toISOString() }),
      rowOf(newToken()),
    ];
    const { problem } = await rejection(importRows(rows, { organization_id: id }));
    expect({ code: problem.code, at: problem.errors?.map(({ location }) => location) }).toEqual({
      code: 'breaks_key_policy',
      at: ['body.keys[0].expires_in_days', 'body.keys[1].expires_at', 'body.keys[2].expires_in_days'],
    });
  });

  it('never imports a hash twice, in whatever notation, even at the same time', async () => {
    const token = newToken();
    const before = await keysOf(ada);
    const notations = ['hex', 'base64', 'base64url'] as const;
    const outcomes = await Promise.all(
      notations.map((notation) => importRows([rowOf(token, { hash: sha256(token).digest(notation) })])),
    );
    expect(outcomes.filter(({ imported: count }) => count === 1)).toHaveLength(1);
    expect(new Set(outcomes.map(({ data }) => data[0]!.id)).size).toBe(1);
    expect(await keysOf(ada)).toBe(before + 1);
  });

  it('refuses the hash of another organization without a word about it', async () => {
    const token = newToken();
    const id = await imported(token);
    const bob = await deployment.account();
    const { problem } = await rejection(importRows([rowOf(token)], {}, bob));
    expect(problem.errors).toEqual([
      { location: 'body.keys[0].hash', message: 'belongs to a key that is not yours to import' },
    ]);
    expect(JSON.stringify(problem)).not.toContain(id);
    expect(await keysOf(bob)).toBe(0);
  });

  it('is repeated by its Idempotency-Key, a dry run included', async () => {
    const token = newToken();
    for (const dry_run of [true, false]) {
      const headers = { 'idempotency-key': randomUUID() };
      const call = (hash: string) =>
        ada.client.apiKeys.import({ headers, body: { dry_run, keys: [rowOf(token, { hash })] } });
      const first = await call(sha256(token).digest('hex'));
      expect(first.imported).toBe(1);
      expect(await call(sha256(token).digest('base64url'))).toEqual(first);
      expect(await codeOf(call(sha256('another').digest('hex')))).toBe('idempotency_key_reused');
    }
  });

  it('takes 1,000 rows at once, with all that a key can have', async () => {
    const { id: organizationId } = await ada.client.organizations.create({ body: { name: 'Large' } });
    const tokens = Array.from({ length: 1_000 }, () => newToken());
    const rows = tokens.map((token, n) => rowOf(token, { name: `Key ${n}`, external_id: `customer-${n}` }));
    for (const row of rows) row.rate_limits = [{ name: 'minute', limit: 1, window_seconds: 60 }];
    rows[999]!.expires_at = new Date(Date.now() + 86_400_000 * 30).toISOString();
    expect(await importRows(rows, { organization_id: organizationId })).toMatchObject({ imported: 1_000, existing: 0 });
    expect(await importRows(rows, { organization_id: organizationId })).toMatchObject({ imported: 0, existing: 1_000 });
    for (const token of [tokens[0]!, tokens[999]!]) {
      expect([await authz({ 'x-api-key': token }), await authz({ 'x-api-key': token })]).toEqual([200, 429]);
    }
  });

  it('gives no more than its caller has', async () => {
    const { key } = await ada.client.apiKeys.create({
      body: { name: 'Manager', scopes: ['api-keys:manage', 'triggers:read'] },
    });
    const manager = deployment.client({ apiKey: key });
    const rows = (scopes: string[]) => ({ body: { keys: [rowOf(newToken(), { scopes })] } });
    expect((await manager.apiKeys.import(rows(['triggers:read']))).imported).toBe(1);
    expect(await codeOf(manager.apiKeys.import(rows(['audit:read'])))).toBe('beyond_authority');
  });

  it('leaves neither a token nor its hash in the database', async () => {
    const token = newToken();
    const id = await imported(token, { prefix: token.slice(0, 8) });
    expect(await verify(token)).toBe('valid');
    await allIngested(deployment);
    const entries = (await storedEntries(deployment.sql, ada.organizationId)).map(({ entry }) => entry.toString());
    expect(entries.filter((entry) => entry.includes('api_key.imported') && entry.includes(id))).toHaveLength(1);
    const { rows } = await deployment.sql.query<{ row: string }>(
      `SELECT to_jsonb(s)::text AS row FROM api_key_secret s UNION ALL SELECT to_jsonb(k)::text FROM api_key k
       UNION ALL SELECT to_jsonb(i)::text FROM idempotency_key i`,
    );
    const everything = [...entries, ...rows.map(({ row }) => row)].join('\n');
    const found = [
      token,
      ...(['hex', 'base64', 'base64url'] as const).map((notation) => sha256(token).digest(notation)),
    ];
    expect(found.filter((text) => everything.includes(text.slice(0, 40)))).toEqual([]);
  });
});
