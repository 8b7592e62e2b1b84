import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { Shell } from './command.js';

const DAY_MS = 86_400_000;

let deployment: Deployment;
let ada: Account;
let shell: Shell;
let id: string;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  ada = await deployment.account();
  shell = await Shell.open();
  await shell.signIn(deployment.url, ada);
  ({ id } = await ada.client.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read'] } }));
});

afterAll(async () => {
  await shell.close();
  await deployment.stop();
});

const create = ['keys', 'create', 'Key', '--scope', 'triggers:read'];
const createdWith = async (...args: string[]) =>
  JSON.parse((await shell.run([...create, '--json', ...args])).stdout) as { created_at: string; expires_at: string };

describe('an error of the API names what was typed:', () => {
  it.each<[string[], string]>([
    [['keys', 'create', 'Key', '--scope', 'triggers:read', '--scope', 'x y'], '--scope "x y": must be resource:action'],
    [[...create, '--allowed-ip', 'home'], '--allowed-ip "home": '],
    [[...create, '--external-id', 'x'.repeat(201)], `--external-id "${'x'.repeat(201)}": `],
    [[...create, '--rate-limit', 'a=1/1s', '--rate-limit', 'b=0/60s'], '--rate-limit "b=0/60s": limit '],
    [[...create, '--expires', '9999d'], '--expires 9999d: '],
    [['keys', 'rotate', 'ID', '--grace', '31d'], '--grace 31d: must be at most 30d. '],
    [['key-policy', 'set', '--max-lifetime=0d'], '--max-lifetime 0d: must be at least 1d. '],
    [['keys', 'list', '--limit', '101'], '--limit 101: '],
    [['keys', 'list', '--unused-for', '4000d'], '--unused-for 4000d: '],
    [['audit', 'list', '--type', 'a b'], '--type "a b": '],
    [['audit', 'list', '--not-ip', 'home'], '--not-ip "home": '],
    [['audit', 'list', '--request-id', 'a/b'], '--request-id "a/b": '],
    [
      ['usage', '--interval', 'hour', '--from', '90d'],
      '--from 90d: must be within 31 days before --to when the interval is hour. ',
    ],
    [['usage', '--from', '1h', '--to', '1d'], '--from 1h: must be before --to. '],
  ])('%j', async (args, beginning) => {
    const { code, stdout, stderr } = await shell.run(args.map((arg) => (arg === 'ID' ? id : arg)));
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.slice(0, beginning.length)).toBe(beginning);
    expect(stderr).toMatch(/\(invalid_request, request req_\w+\)\n$/);
    expect(stderr).not.toMatch(/\b(body|query|params)\./);
  });

  it('a rule of the key policy', async () => {
    const { id: organization } = await ada.client.organizations.create({ body: { name: 'Strict' } });
    await ada.client.keyPolicy.update({ params: { id: organization }, body: { require_expiry: true } });
    const { stderr } = await shell.run([...create, '--expires', 'never', '--organization', 'Strict']);
    expect(stderr).toMatch(/^--expires "never": every key of the organization must expire\. /);
  });

  it('an argument by its name', async () => {
    const { stderr } = await shell.run(['keys', 'create', 'x'.repeat(101), '--scope', 'triggers:read']);
    expect(stderr).toMatch(/^NAME "x{101}": /);
  });

  it('without a secret that was typed in its place', async () => {
    const { key } = await ada.client.apiKeys.create({ body: { name: 'Pasted', scopes: ['triggers:read'] } });
    const { code, stderr } = await shell.run([...create, '--owner-note', key]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^--owner-note: must not contain a s/) });
    expect(stderr).not.toContain(key);
  });
});

it('a search of all audit logs takes exactly one value', async () => {
  for (const args of [[], ['--ip', '192.0.2.1', '--key', id]]) {
    const { code, stderr } = await shell.run(['audit', 'organizations', ...args]);
    expect({ code, stderr }).toMatchObject({
      code: 64,
      stderr: expect.stringMatching(/^Give exactly one of --ip, --key/),
    });
  }
});

it('a key without a scope is not created: it would have all of them', async () => {
  const { total } = await ada.client.apiKeys.list();
  const { code, stdout, stderr } = await shell.run(['keys', 'create', 'Almighty']);
  expect({ code, stdout, stderr }).toEqual({
    code: 64,
    stdout: '',
    stderr: expect.stringMatching(/^Say what the key may do, with --scope for each scope: `keyledger scopes` lists/),
  });
  expect((await ada.client.apiKeys.list()).total).toBe(total);
});

describe('durations', () => {
  it('a rotation leaves the old secret alive for 24 hours, as in the dashboard', async () => {
    const { stderr } = await shell.run(['keys', 'rotate', id]);
    expect(stderr).toMatch(/\nThe old secret works for another 24h\.\n$/);
    const { data } = await ada.client.apiKeys.listSecrets({ params: { id } });
    expect(data).toHaveLength(2);
    const [{ created_at: from }, { ends_at: to }] = [data[0]!, data[1]!];
    expect(Math.abs(Date.parse(to!) - Date.parse(from) - DAY_MS)).toBeLessThan(60_000);
  });

  it('a key expires after 90 days, after as many as are asked for, or never', async () => {
    const lifetime = ({ created_at, expires_at }: Awaited<ReturnType<typeof createdWith>>) =>
      expires_at && (Date.parse(expires_at) - Date.parse(created_at)) / DAY_MS;
    expect(lifetime(await createdWith())).toBe(90);
    expect(lifetime(await createdWith('--expires', '48h'))).toBe(2);
    expect(lifetime(await createdWith('--expires', 'never'))).toBeNull();
  });

  it('keys list finds keys that were not used for so many days', async () => {
    const { stdout } = await shell.run(['keys', 'list', '--unused-for', '1d', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ total: 0 });
  });
});
