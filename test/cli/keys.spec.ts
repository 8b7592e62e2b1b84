import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeJwt } from 'jose';
import { toUuid } from '#libs/contract/ids.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { outcomeOf as problemOf } from '../support/rejection.js';
import { startBetterAuth } from './better-auth.js';
import { outcomeOf, Shell } from './command.js';

let deployment: Deployment;
let ada: Account;
let shell: Shell;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  ada = await deployment.account();
  shell = await Shell.open();
  await shell.signIn(deployment.url, ada);
});

afterAll(async () => {
  await shell.close();
  await deployment.stop();
});

const newKey = (name: string) => ada.client.apiKeys.create({ body: { name, scopes: ['triggers:read'] } });
const use = (key: string) => problemOf(deployment.client({ apiKey: key }).auth.whoami());
const jsonOf = async (args: string[]) => {
  const { code, stdout, stderr } = await shell.run([...args, '--json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringMatching(/error/i) });
  return JSON.parse(stdout) as unknown;
};

describe('keyledger keys create', () => {
  it('in a pipe prints only the key on standard output', async () => {
    const limits = [
      '--environment',
      'live',
      '--expires',
      '90d',
      '--allowed-ip',
      '127.0.0.1',
      '--allowed-ip',
      '::1',
      '--rate-limit',
      'per-minute=100/1m',
      '--rate-limit',
      'per-day=5000/1d',
    ];
    const scopes = ['--scope', 'triggers:read', '--scope', 'events:read'];
    const { code, stdout, stderr } = await shell.run(['keys', 'create', 'Production server', ...scopes, ...limits]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^sk_live_\w{32}\n$/);
    expect(await use(stdout.trim())).toBe('done');
    expect(stderr).toMatch(/^ID +key_\w+\nName +Production server\nStatus +active\n/);
    expect(stderr).toMatch(/^Scopes +triggers:read, events:read\nAllowed IPs +127\.0\.0\.1, ::1\n/m);
    expect(stderr).toMatch(/^Rate limits +per-minute=100\/60s, per-day=5000\/86400s\n/m);
    expect(stderr).toMatch(/\nThe key is shown only once: store it now\.\n$/);
    expect(stderr).not.toContain(stdout.trim());
  });

  it("with --json prints the API's response", async () => {
    const project = await ada.client.projects.create({ body: { name: 'Checkout' } });
    const where = ['--organization', ada.organizationId, '--project', project.id];
    const created = (await jsonOf(['keys', 'create', 'As JSON', '--scope', 'triggers:read', ...where])) as {
      id: string;
      key: string;
    };
    const { key, ...rest } = created;
    expect(await use(key)).toBe('done');
    const read = await ada.client.apiKeys.get({ params: { id: created.id } });
    expect({ ...rest, usage_count: 0, last_used_at: null }).toEqual({ ...read, usage_count: 0, last_used_at: null });
    expect(read).toMatchObject({ project_id: project.id, name: 'As JSON', expires_at: expect.any(String) });
  });

  it('reports an error with its option, its code and the request id', async () => {
    const { code, stdout, stderr } = await shell.run(['keys', 'create', 'Key', '--scope', 'nothing:here']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^--scope "nothing:here": .*nothing:here.*\. \(invalid_request, request req_\w+\)\n$/);
  });

  it.each([
    [[], /missing required argument 'NAME'/],
    [['Key', '--environment', 'prod'], /Allowed choices are test, live/],
    [['Key', '--expires', 'soon'], /It must be a number of days, such as 30d, or never/],
    [['Key', '--scop', 'triggers:read'], /unknown option '--scop'\n\(Did you mean --scope\?\)/],
  ])('%j is wrong usage', async (args, sentence) => {
    const { code, stderr } = await shell.run(['keys', 'create', ...args]);
    expect({ code, stderr }).toEqual({ code: 64, stderr: expect.stringMatching(sentence) });
  });

  it('says how to get a new secret if it cannot write the created key', async () => {
    const child = shell.start(['keys', 'create', 'Lost', '--scope', 'triggers:read']);
    // Nothing reads the output, as in `… | true`.
    child.stdout!.destroy();
    const { code, stderr } = await outcomeOf(child);
    expect(code).toBe(74);
    expect(stderr).toMatch(
      /^The secret of (key_\w+) could not be written and is lost: `keyledger keys rotate \1 --grace none`/m,
    );
    expect(stderr).not.toMatch(/sk_test_\w{32}/);
  });
});

describe('keyledger keys update', () => {
  const texts = ['--description', 'For CI', '--external-id', 'cus_1', '--owner-note', 'Ask Ada'];

  it('sets and removes the texts of a key, and leaves other fields unchanged', async () => {
    const made = ['keys', 'create', 'With texts', '--scope', 'triggers:read', ...texts];
    const { id } = (await jsonOf(made)) as { id: string };
    const read = () => ada.client.apiKeys.get({ params: { id } });
    expect(await read()).toMatchObject({ description: 'For CI', external_id: 'cus_1', owner_note: 'Ask Ada' });
    const { stdout, stderr } = await shell.run(['keys', 'update', id, '--name', 'Renamed', '--no-owner-note']);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^Name +Renamed$/m);
    expect(stdout).toMatch(/^Owner note +-$/m);
    expect(await read()).toMatchObject({
      name: 'Renamed',
      description: 'For CI',
      external_id: 'cus_1',
      owner_note: null,
    });
  });

  it('without a change is wrong usage', async () => {
    const { id } = await newKey('Unchanged');
    const { code, stderr } = await shell.run(['keys', 'update', id]);
    expect([code, stderr]).toEqual([64, 'No change was given: see --help.\n']);
  });
});

describe('keyledger keys rotate', () => {
  it('prints the new secret, and with --grace none the old secret stops working', async () => {
    const { id, key } = await newKey('Rotated');
    const { stdout, stderr } = await shell.run(['keys', 'rotate', id, '--grace', 'none']);
    expect([await use(key), await use(stdout.trim())]).toEqual(['revoked', 'done']);
    expect(stderr).toMatch(/\nThe old secret no longer works\.\n$/);
  });

  it('keeps the old secret working for a grace period', async () => {
    const { id, key } = await newKey('Rotated');
    const { stdout } = await shell.run(['keys', 'rotate', id, '--grace', '60s']);
    expect([await use(key), await use(stdout.trim())]).toEqual(['done', 'done']);
  });
});

describe('keyledger keys disable, enable and revoke', () => {
  it('work, and print the new status of the key', async () => {
    const { id, key } = await newKey('Switched');
    expect((await shell.run(['keys', 'disable', id])).stdout).toBe(`${id} (Switched) is disabled.\n`);
    expect(await use(key)).toBe('disabled');
    expect(await jsonOf(['keys', 'enable', id])).toMatchObject({ id, status: 'active' });
    expect(await use(key)).toBe('done');
    expect((await shell.run(['keys', 'revoke', id, '--yes'])).stdout).toBe(`${id} (Switched) is revoked.\n`);
    expect(await use(key)).toBe('revoked');

    const late = await shell.run(['keys', 'enable', id]);
    expect(late.code).toBe(1);
    expect(late.stderr).toMatch(
      /^The key is revoked, which is final; create another one\. \(conflict, request req_\w+\)\n$/,
    );
  });

  it('revoke nothing in a pipe without --yes', async () => {
    const { id, key } = await newKey('Kept');
    const { code, stderr } = await shell.run(['keys', 'revoke', id], { input: 'y\n' });
    expect(code).toBe(64);
    expect(stderr).toBe('Revoking cannot be undone. Without a terminal, confirm it with --yes.\n');
    expect(await use(key)).toBe('done');
  });

  it('change several keys, or all that meet conditions, after a preview', async () => {
    const keys = [await newKey('Batch 1'), await newKey('Batch 2'), await newKey('Batch 3')];
    const uses = () => Promise.all(keys.map(({ key }) => use(key)));
    const where = ['--where', 'search=Batch', '--where', 'status=active'];
    const seen = await shell.run(['keys', 'disable', ...where, '--where', 'never-expires', '--dry-run']);
    expect(seen).toMatchObject({ code: 0, stderr: '' });
    expect(seen.stdout).toMatch(/^ID +NAME +STATUS +USES IN 24H +LAST USED\n/);
    expect(seen.stdout).toMatch(/\n3 keys would be disabled, 0 of them used in the last day\.\n$/);
    const unsure = await shell.run(['keys', 'disable', ...where], { input: 'y\n' });
    expect({ code: unsure.code, end: unsure.stderr.split('\n').at(-2) }).toEqual({
      code: 64,
      end: 'Disabling many keys needs a confirmation. Without a terminal, confirm it with --yes.',
    });
    expect(await uses()).toEqual(['done', 'done', 'done']);
    expect((await shell.run(['keys', 'disable', 'Batch 1', keys[1]!.id, '--yes'])).stdout).toBe(
      '2 keys are disabled.\n',
    );
    expect(await uses()).toEqual(['disabled', 'disabled', 'done']);
    expect(await jsonOf(['keys', 'enable', '--where', 'search=Batch', '--yes'])).toMatchObject({ count: 2 });
    expect(await jsonOf(['keys', 'revoke', ...where, '--yes'])).toMatchObject({
      action: 'revoke',
      count: 3,
      ids: keys.map(({ id }) => id),
    });
    expect(await uses()).toEqual(['revoked', 'revoked', 'revoked']);
    expect((await shell.run(['keys', 'revoke', ...where, '--yes'])).stderr).toBe('No key would be revoked.\n');
  });

  it.each([
    [[], 'Name a key, or select keys with --where.'],
    [['Batch 1', '--where', 'status=active'], 'Name keys or give --where, not both.'],
    [['--where', 'statsu=active'], 'The conditions are status, environment,'],
    [['--where', 'status=gone'], 'must be one of active, disabled, expired, revoked'],
    [['--where', 'unused-for=soon'], 'must be a number of days'],
    [['--where', 'never-expires=false'], 'takes no value'],
    [['--where', 'search='], 'needs a value'],
    [['--where', 'search=a', '--where', 'search=b'], 'can be given once'],
  ])('with %j is wrong usage', async (args, sentence) => {
    const { code, stderr } = await shell.run(['keys', 'revoke', ...args]);
    expect({ code, stderr }).toEqual({ code: 64, stderr: expect.stringContaining(sentence) });
  });

  it('reject a key given as an id, without sending or repeating it', async () => {
    const { key } = await newKey('Pasted');
    for (const command of ['rotate', 'disable', 'enable', 'revoke']) {
      const { code, stderr } = await shell.run(['keys', command, key]);
      expect({ code, stderr }).toEqual({
        code: 64,
        stderr: expect.stringMatching(/^The id or the name of the API key is required/),
      });
      expect(stderr).not.toContain(key);
    }
    expect((await shell.run(['audit', 'list', '--key', key])).code).toBe(64);
  });

  it("report another organization's key as not found", async () => {
    const bob = await deployment.account();
    const { id } = await bob.client.apiKeys.create({ body: { name: "Bob's", scopes: ['triggers:read'] } });
    const { code, stderr } = await shell.run(['keys', 'disable', id]);
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/no such API key.*\(not_found, /),
    });
  });
});

describe('keyledger keys list', () => {
  let bob: Account;
  let home: Shell;

  beforeAll(async () => {
    bob = await deployment.account();
    home = await Shell.open();
    await home.signIn(deployment.url, bob);
    for (const name of ['one', 'two', 'three'])
      await bob.client.apiKeys.create({ body: { name, scopes: ['triggers:read'], environment: 'live' } });
    await bob.client.apiKeys.create({
      body: { name: 'evil \u001b[31m\nkey\u202e', scopes: ['*:*'], expires_in_days: 1 },
    });
  });

  afterAll(() => home.close());

  it('in a pipe is plain and aligned, and without control characters of others', async () => {
    const { stdout } = await home.run(['keys', 'list']);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(5);
    expect(lines[0]).toMatch(/^ID {30}NAME +STATUS {2}ENVIRONMENT {2}PREFIX +SCOPES +USES {2}LAST USED {2}EXPIRES$/);
    expect(lines[1]).toMatch(
      /^key_\w{26} {2}evil \ufffd\[31m\ufffdkey\ufffd {2}active {2}test {9}sk_test_\w{6} {2}\*:\* +0 {2}- /,
    );
    expect(lines[4]).toMatch(/^key_\w{26} {2}one +active {2}live {9}sk_live_\w{6} {2}triggers:read +0 {2}- +-$/);
    expect(stdout).not.toMatch(/[^\P{Cc}\n]/u);
  });

  it("with --json is the API's response, with every filter", async () => {
    const list = async (...args: string[]) => JSON.parse((await home.run(['keys', 'list', '--json', ...args])).stdout);
    const query = { limit: 2, sort: 'name', environment: 'live', status: 'active', search: 'e' } as const;
    const args = ['--limit', '1', '--sort', 'name', '--environment', 'live', '--status', 'active', '--search', 'e'];
    const first = await list(...args, '--organization', bob.organizationId);
    expect(first).toEqual(await bob.client.apiKeys.list({ query: { ...query, limit: 1 } }));
    expect(first).toMatchObject({ total: 2, next_cursor: expect.any(String) });
    const second = await list(...args, '--cursor', first.next_cursor);
    expect([...first.data, ...second.data].map(({ name }: { name: string }) => name)).toEqual(['one', 'three']);
    expect((await list('--sort', '-name')).data[0].name).toBe('two');
    expect((await list('--project', 'proj_01h455vb4pex5vsknk084sn02q')).total).toBe(0);
  });

  it('finds a key by any part of it, and sends no more of a secret than lists show', async () => {
    const { id, key, public_key: publicKey, prefix } = await newKey('Somewhere');
    const sent: string[] = [];
    const recorder = createServer((request, response) => {
      sent.push(request.url!);
      void fetch(deployment.url + request.url, { headers: { 'x-api-key': request.headers['x-api-key'] as string } })
        .then((response) => response.text())
        .then((text) => response.setHeader('content-type', 'application/json').end(text));
    });
    await new Promise<void>((resolve) => void recorder.listen(0, '127.0.0.1', resolve));
    const manager = await ada.client.apiKeys.create({ body: { name: 'Manager', scopes: ['api-keys:manage'] } });
    const { port } = recorder.address() as AddressInfo;
    const env = { KEYLEDGER_URL: `http://127.0.0.1:${port}`, KEYLEDGER_API_KEY: manager.key };
    try {
      for (const text of [id, key, `${publicKey}:${key}`, publicKey, prefix, `${prefix}…`, ` ${key}\n`]) {
        const { stdout } = await shell.run(['keys', 'list', '--json', '--search', text], { env });
        expect(JSON.parse(stdout)).toMatchObject({ total: 1, data: [{ id }] });
      }
      expect(sent).toHaveLength(7);
      const { code, stderr } = await shell.run(['audit', 'list', '--subject', key], { env });
      expect({ code, stderr }).toEqual({ code: 64, stderr: expect.stringContaining('It was not sent') });
      expect(stderr).not.toContain(key.slice(-26));
      expect(sent.filter((address) => address.includes(key.slice(prefix.length, prefix.length + 7)))).toEqual([]);
      expect(sent).toHaveLength(7);
    } finally {
      recorder.close();
    }
  });

  it('shows a key in a final state like the API, and rejects changes in one sentence', async () => {
    const body = { name: 'Ended', scopes: ['triggers:read'], expires_in_days: 1 };
    const { id } = await ada.client.apiKeys.create({ body });
    await ada.client.apiKeys.revoke({ params: { id } });
    const { stdout } = await shell.run(['keys', 'list', '--search', id]);
    expect(stdout).toMatch(new RegExp(`^${id}  Ended +revoked .* -\n$`, 'm'));
    for (const command of ['rotate', 'enable', 'disable']) {
      const { code, stderr } = await shell.run(['keys', command, id]);
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringMatching(/revoked, which is final; create another one/),
      });
    }
  });

  it('says how many keys are missing, and shows all pages with --all', async () => {
    const part = await home.run(['keys', 'list', '--limit', '3']);
    expect(part.stderr).toBe('3 of 4 API keys; --all shows all.\n');
    const { id } = await bob.client.apiKeys.create({ body: { name: 'many', scopes: ['triggers:read'] } });
    await deployment.sql.query(
      `INSERT INTO api_key OVERRIDING USER VALUE
       SELECT (jsonb_populate_record(k, jsonb_build_object('id', gen_random_uuid(), 'public_key', gen_random_uuid()))).*
       FROM api_key k, generate_series(1, 99) WHERE k.id = $1`,
      [toUuid(id)],
    );
    const { stdout } = await home.run(['keys', 'list', '--all', '--json']);
    const all = JSON.parse(stdout) as { data: { id: string }[]; total: number; next_cursor: null };
    expect(all).toMatchObject({ total: 104, next_cursor: null });
    expect(new Set(all.data.map(({ id }) => id)).size).toBe(104);
    expect((await home.run(['keys', 'list', '--all'])).stderr).toBe('');
    expect((await home.run(['keys', 'list', '--all', '--limit', '3'])).code).toBe(64);
  });

  it('says on standard error if there are no keys', async () => {
    const { code, stdout, stderr } = await home.run(['keys', 'list', '--status', 'revoked']);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: 'No API keys.\n' });
  });

  it('ends quietly when the reader closes the pipe', async () => {
    const child = home.start(['keys', 'list']);
    child.stdout!.destroy();
    expect(await outcomeOf(child)).toEqual({ code: 0, stdout: '', stderr: '' });
  });
});

describe('the catalogue commands', () => {
  it('list scopes, organizations and projects', async () => {
    expect(await jsonOf(['scopes'])).toEqual(await ada.client.apiKeys.listScopes());
    expect((await shell.run(['scopes'])).stdout).toMatch(
      /^api-keys:manage +management +Create, rotate and revoke API keys, and view them$/m,
    );

    expect(await jsonOf(['organizations', 'list'])).toEqual(await ada.client.organizations.list());
    expect((await shell.run(['organizations', 'list'])).stdout).toMatch(
      new RegExp(`^${ada.organizationId}  .*  owner  active  `, 'm'),
    );

    const { id } = await ada.client.projects.create({ body: { name: 'Storefront', description: 'of Europe' } });
    const args = ['projects', 'list', '--organization', ada.organizationId, '--search', 'europe'];
    expect(await jsonOf(args)).toMatchObject({ total: 1, data: [{ id }] });
    expect((await shell.run(args)).stdout).toMatch(new RegExp(`^${id}  Storefront  .*of Europe$`, 'm'));
  });

  it('also work with a key, within its rights', async () => {
    const { key } = await newKey('Narrow');
    const env = { KEYLEDGER_URL: deployment.url, KEYLEDGER_API_KEY: key };
    expect((await shell.run(['scopes'], { env })).code).toBe(0);
    const { code, stderr } = await shell.run(['projects', 'list'], { env });
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('(insufficient_scope, request '),
    });
  });
});

describe('keyledger keys import', () => {
  const file = async (name: string, content: string) => {
    const path = join(shell.home, name);
    await writeFile(path, content);
    return path;
  };
  const newToken = () => `acme_${randomBytes(20).toString('hex')}`;

  it('imports the tokens of a file in as many calls as they need, and can be repeated', async () => {
    const tokens = Array.from({ length: 1_500 }, newToken);
    const rows = tokens.map((token, n) => `${JSON.stringify({ token, name: `Imported ${n}` })}\n`);
    const args = ['keys', 'import', await file('keys.jsonl', rows.join('')), '--scope', 'triggers:read'];
    expect(await shell.run([...args, '--dry-run'])).toMatchObject({
      code: 0,
      stdout: '1500 keys would be imported.\n',
    });
    expect(await use(tokens[1_499]!)).toBe('invalid_key');
    expect(await shell.run(args)).toMatchObject({
      code: 0,
      stdout: '1500 keys were imported.\n',
      stderr: '1000 keys so far\n',
    });
    expect([await use(tokens[0]!), await use(tokens[1_499]!)]).toEqual(['done', 'done']);
    expect(await jsonOf(args)).toMatchObject({ dry_run: false, imported: 0, existing: 1_500 });
  });

  it('moves the keys of a real Better Auth with one command, and they go on working', async () => {
    const auth = await startBetterAuth(deployment);
    const [grace, linus] = [await auth.createUser(), await auth.createUser()];
    const unlimited = { rateLimitEnabled: false };
    const read = { triggers: ['read'] };
    const keys = {
      plain: await auth.createKey(grace, { name: 'Plain', prefix: 'acme_', permissions: read, ...unlimited }),
      rich: await auth.createKey(grace, {
        name: 'Rich',
        permissions: { triggers: ['read', 'write'], events: ['read'] },
        metadata: { plan: 'pro', seats: 3 },
        expiresIn: 86_400 * 300,
        ...unlimited,
      }),
      limited: await auth.createKey(grace, { permissions: read, rateLimitMax: 1, rateLimitTimeWindow: 3_600_000 }),
      refilled: await auth.createKey(grace, {
        permissions: read,
        remaining: 5,
        refillAmount: 1,
        refillInterval: 86_400_000,
        ...unlimited,
      }),
      other: await auth.createKey(linus, { permissions: read, ...unlimited }),
      disabled: await auth.createKey(grace, { permissions: read, ...unlimited }),
      expired: await auth.createKey(grace, { permissions: read, expiresIn: 86_400, ...unlimited }),
      counted: await auth.createKey(grace, { permissions: read, remaining: 5, ...unlimited }),
      unknown: await auth.createKey(grace, { permissions: { rockets: ['launch'] }, ...unlimited }),
    };
    expect(await auth.verify(keys.plain.key)).toBe(true);
    await auth.disable(grace, keys.disabled.id);
    await auth.sql.query(`UPDATE apikey SET "expiresAt" = now() - interval '1 minute' WHERE id = $1`, [
      keys.expired.id,
    ]);
    const { rows: before } = await auth.sql.query('SELECT * FROM apikey ORDER BY id');

    const args = ['keys', 'import', '--from', 'better-auth', '--database', auth.url];
    const ofGrace = await shell.run([...args, '--reference', grace, '--dry-run']);
    expect(ofGrace.stdout).toBe('4 keys would be imported.\n');
    const { code, stdout, stderr } = await shell.run(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '5 keys were imported.\n' });
    const lines = stderr.trim().split('\n');
    expect(lines.at(-1)).toBe('2 keys that may still be in use were left out, as said above.');
    expect(Object.fromEntries(lines.slice(0, -1).map((line) => line.split(': left out, ')))).toEqual({
      [`key ${keys.disabled.id}`]: 'is disabled',
      [`key ${keys.expired.id}`]: 'has expired',
      [`key ${keys.counted.id}`]: 'has a number of uses that is never refilled, which Keyledger does not count',
      [`key ${keys.unknown.id}`]: expect.stringMatching(/^permissions rockets:launch is not a scope/),
    });
    expect((await auth.sql.query('SELECT * FROM apikey ORDER BY id')).rows).toEqual(before);

    const { key: service } = await ada.client.apiKeys.create({
      body: { name: 'Service', scopes: ['api-keys:verify'] },
    });
    const verifier = deployment.client({ apiKey: service });
    const verify = async (key: string, scope = 'triggers:read') =>
      (await verifier.apiKeys.verify({ body: { key, scopes: [scope] } })).code;
    for (const { key } of [keys.plain, keys.rich, keys.other]) expect(await verify(key)).toBe('valid');
    expect(await verify(keys.rich.key, 'triggers:write')).toBe('valid');
    expect(await verify(keys.plain.key, 'triggers:write')).toBe('insufficient_scope');
    for (const { key } of [keys.limited, keys.refilled]) {
      expect([await verify(key), await verify(key)]).toEqual(['valid', 'rate_limited']);
    }
    for (const { key } of [keys.disabled, keys.expired, keys.counted, keys.unknown]) {
      expect(await verify(key)).toBe('invalid_key');
    }
    const { data } = await ada.client.apiKeys.list({ query: { external_id: grace } });
    expect(data.find(({ name }) => name === 'Rich')).toMatchObject({
      prefix: keys.rich.key.slice(0, 6),
      scopes: ['triggers:read', 'triggers:write', 'events:read'],
      metadata: { plan: 'pro', seats: '3' },
      expires_at: expect.any(String),
    });

    const again = await shell.run([...args, '--json']);
    expect(JSON.parse(again.stdout)).toMatchObject({
      imported: 0,
      existing: 5,
      left_out: expect.arrayContaining([{ key: keys.disabled.id, reason: 'is disabled' }]),
    });
    await auth.stop();
  });

  it('says what is wrong if it cannot read the keys of Better Auth', async () => {
    const from = ['keys', 'import', '--from', 'better-auth'];
    const at = async (...args: string[]) => (await shell.run([...from, ...args])).stderr;
    const { adminUrl } = deployment.database;
    expect(await at()).toMatch(/^Name a file, or a system with --from better-auth and --database URL\./);
    expect(await at('--database', adminUrl)).toMatch(
      /relation "apikey" does not exist\): check --database and --table\./,
    );
    expect(await at('--database', adminUrl, '--table', 'organization')).toMatch(
      /^The table is not one of Better Auth's/,
    );
  });

  it('names the lines that are wrong, and imports none of their call', async () => {
    const token = newToken();
    const path = await file('keys.csv', `token,name,scopes\n${token},Good,triggers:read\n${newToken()},Bad,no:scope\n`);
    const { code, stdout, stderr } = await shell.run(['keys', 'import', path]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^line 3: scopes\[0\] no:scope is not a scope/);
    expect(stderr).toMatch(/\nNone of these 2 keys was imported \(invalid_request, request req_\w+\)\n$/);
    expect(stderr).not.toContain(token);
    const twice = await file('twice.csv', `name,token\nOne,${token}\n\nTwo,${token}\n`);
    expect((await shell.run(['keys', 'import', twice, '--scope', 'no:scope'])).stderr).toMatch(
      /^line 2: --scope no:scope is not a scope.*\nline 4: token must not be repeated: line 2 has it, too\n/,
    );
    expect(await use(token)).toBe('invalid_key');
  });
});

describe('every command', () => {
  const commands = [
    ...['login', 'logout', 'whoami', 'scopes', 'organizations', 'projects'].map((name) => [name]),
    ...['list', 'create', 'update', 'rotate', 'disable', 'enable', 'revoke'].map((name) => ['keys', name]),
    ...['list', 'tail', 'export'].map((name) => ['audit', name]),
    ['usage'],
    ['operator', 'add'],
    ['keys'],
    ['audit'],
    ['up'],
    ['migrate'],
    [],
  ];

  it.each(commands.map((command) => [command.join(' '), command] as const))('has help: %s', async (_, command) => {
    const { code, stdout, stderr } = await shell.run([...command, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.toLowerCase()).toContain(`usage: keyledger ${command.join(' ')}`.trim());
  });

  it.each([60, 100])('has help that fits a terminal of %i columns, except for examples', async (columns) => {
    for (const command of commands) {
      const { stdout } = await shell.run([...command, '--help'], { terminal: { columns } });
      const tooLong = (line: string) => line.length > columns && !/^ {2}.*keyledger /.test(line);
      expect(stdout.split('\n').filter(tooLong)).toEqual([]);
    }
  });

  it('has the same help under `keyledger help`', async () => {
    for (const command of [['keys', 'create'], ['audit'], []]) {
      expect(await shell.run(['help', ...command])).toEqual(await shell.run([...command, '--help']));
    }
  });

  it('is suggested if it is misspelt', async () => {
    const { code, stderr } = await shell.run(['keys', 'revok']);
    expect({ code, stderr }).toEqual({
      code: 64,
      stderr: expect.stringMatching(/\(Did you mean revoke\?\)\nAdd --help/),
    });
    expect((await shell.run(['organisations'])).stderr).toContain('(Did you mean organizations?)');
  });
});

describe('keyledger keys token', () => {
  const args = ['keys', 'token', '--audience', 'orders', '--scope', 'triggers:read', '--lifetime', '2m'];

  it('needs the key alone, and prints only the token on standard output', async () => {
    const { key } = await newKey('Exchanged');
    const stranger = await Shell.open();
    try {
      const env = { KEYLEDGER_URL: deployment.url };
      const { code, stdout, stderr } = await stranger.run(args, { input: `${key}\n`, env });
      expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('Nothing can revoke it.') });
      const { aud, scope, iat, exp } = decodeJwt(stdout.trimEnd());
      expect({ aud, scope, seconds: exp! - iat! }).toEqual({ aud: 'orders', scope: 'triggers:read', seconds: 120 });
    } finally {
      await stranger.close();
    }
  });

  it('rejects a key as an argument without repeating it, and says why a key is refused', async () => {
    const { key } = await newKey('Argument');
    const { code, stderr } = await shell.run([...args, key]);
    expect({ code, repeats: stderr.includes(key) }).toEqual({ code: 64, repeats: false });
    const wide = await shell.run([...args, '--scope', 'triggers:write'], { input: `${key}\n` });
    expect(wide).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('scope') });
  });
});
