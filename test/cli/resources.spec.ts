import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { outcomeOf as problemOf } from '../support/rejection.js';
import { Shell } from './command.js';

let deployment: Deployment;
let ada: Account;
let bob: Account;
let shell: Shell;
let team: string;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  ada = await deployment.account();
  bob = await deployment.account();
  shell = await Shell.open();
  await shell.signIn(deployment.url, ada);
  ({ id: team } = await ada.client.organizations.create({ body: { name: 'Team' } }));
});

afterAll(async () => {
  await shell.close();
  await deployment.stop();
});

const newKey = (name: string, organization_id?: string) =>
  ada.client.apiKeys.create({ body: { name, scopes: ['triggers:read'], organization_id } });
const use = (key: string) => problemOf(deployment.client({ apiKey: key }).auth.whoami());
const run = async (...args: string[]) => {
  const { code, stdout, stderr } = await shell.run(args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
};
const jsonOf = async <T = Record<string, unknown>>(...args: string[]) => JSON.parse(await run(...args, '--json')) as T;

describe('a key', () => {
  it('is shown with its uses and its secrets', async () => {
    const { id } = await newKey('Shown');
    const { data: secrets } = await ada.client.apiKeys.listSecrets({ params: { id } });
    const card = await run('keys', 'show', 'Shown');
    expect(card).toMatch(new RegExp(`^ID +${id}\nName +Shown\nStatus +active\n`));
    expect(card).toMatch(new RegExp(`^Organization +Ada Lovelace.* \\(${ada.organizationId}\\)$`, 'm'));
    expect(card).toMatch(new RegExp(`^Uses +0\nLast used +never\nSecret +${secrets[0]!.id}\n$`, 'm'));
    expect(await jsonOf('keys', 'show', id)).toEqual(await ada.client.apiKeys.get({ params: { id } }));
  });

  it('is changed in every field that an option names', async () => {
    const { id } = await newKey('Changed');
    const update = (...args: string[]) => jsonOf('keys', 'update', 'Changed', ...args);
    const limits = ['--rate-limit', 'a=1/1s', '--rate-limit', 'b=2/1m', '--allowed-ip', '192.0.2.1'];
    expect(await update('--scope', 'events:read', '--expires', '30d', ...limits)).toMatchObject({
      id,
      scopes: ['events:read'],
      expires_at: expect.any(String),
      rate_limits: [{ name: 'a' }, { name: 'b' }],
      allowed_ips: ['192.0.2.1'],
    });
    expect(await update('--expires', 'never', '--no-rate-limit', '--no-allowed-ip')).toMatchObject({
      scopes: ['events:read'],
      expires_at: null,
      rate_limits: [],
      allowed_ips: [],
    });
    expect(await update('--expires', '2031-06-30T22:30:00Z')).toMatchObject({ expires_at: '2031-06-30T22:30:00.000Z' });
  });

  it('is deleted only if the user confirms it', async () => {
    const { id, key } = await newKey('Deleted');
    const asked = await shell.run(['keys', 'delete', 'Deleted']);
    expect(asked).toMatchObject({ code: 64, stderr: expect.stringMatching(/^Deleting cannot be undone\./) });
    expect(await use(key)).toBe('done');
    expect(await run('keys', 'delete', 'Deleted', '--yes')).toBe(`${id} (Deleted) is deleted.\n`);
    expect(await use(key)).not.toBe('done');
  });

  it('is verified without being an argument, and the exit code says whether it is good', async () => {
    const { id, key } = await newKey('Verified');
    const verify = (...args: string[]) => shell.run(['keys', 'verify', ...args], { input: `${key}\n` });
    const good = await verify('--scope', 'triggers:read', '--cost', '0');
    expect(good).toMatchObject({ code: 0, stderr: '' });
    expect(good.stdout).toMatch(new RegExp(`^Valid +yes\nCode +valid\nDetail +.*\nID +${id}\nName +Verified\n`));
    const bad = await verify('--scope', 'events:read', '--json');
    expect({ code: bad.code, stderr: bad.stderr }).toEqual({ code: 1, stderr: '' });
    expect(JSON.parse(bad.stdout)).toMatchObject({ valid: false, code: 'insufficient_scope', api_key: { id } });
    const typed = await shell.run(['keys', 'verify', key]);
    expect(typed).toMatchObject({
      code: 64,
      stderr: expect.stringMatching(/^Do not pass a password or key as an arg/),
    });
    expect(good.stdout + bad.stdout + typed.stderr).not.toContain(key);
  });
});

describe('a key policy', () => {
  it('is previewed, changed and shown, and the keys that break it are reported', async () => {
    const { id } = await ada.client.organizations.create({ body: { name: 'Strict' } });
    const key = await newKey('Open', id);
    const policy = (...args: string[]) => ['key-policy', ...args, '--organization', 'Strict'];
    const rules = ['--max-lifetime', '90d', '--environment', 'test', '--allowed-ip', '192.0.2.0/24'];
    const dryRun = await run(...policy('set', ...rules, '--dry-run'));
    expect(dryRun).toContain(key.id);
    expect(dryRun).toContain('must expire within 90 days');
    expect(await run(...policy('show'))).toMatch(/^Maximum lifetime +no limit$/m);
    const set = await shell.run(policy('set', ...rules, '--require-expiry', '--disable-unused', '30d'));
    expect(set.stdout).toMatch(/^Unused keys +disabled after 30d$/m);
    expect(set.stderr).toBe('Keys that break it: 1; `keyledger key-policy report` lists them.\n');
    for (const args of [[], ['--dry-run']]) {
      expect(await shell.run(policy('set', ...args))).toEqual({
        code: 64,
        stdout: '',
        stderr: 'No change was given: see --help.\n',
      });
    }
    expect(await jsonOf(...policy('report'))).toMatchObject({ data: [{ id: key.id }], total: 1 });
    expect(
      await jsonOf(...policy('set', '--no-require-expiry', '--max-lifetime', 'none', '--no-allowed-ip')),
    ).toMatchObject({
      require_expiry: false,
      max_lifetime_days: null,
      environments: ['test'],
      allowed_ips: null,
      disable_unused_after_days: 30,
    });
    const wrong = await shell.run(policy('set', '--max-lifetime', '9000d'));
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('--max-lifetime 9000d') });
  });
});

describe('projects', () => {
  it('are created, changed and deleted', async () => {
    const { id } = await jsonOf<{ id: string }>('projects', 'create', 'Shop', '--description', 'of Europe');
    expect(await run('projects', 'update', 'Shop', '--name', 'Store', '--no-description')).toMatch(
      new RegExp(`^ID +${id}\nName +Store\nOrganization +${ada.organizationId}\nDescription +-\n`),
    );
    const { key } = await ada.client.apiKeys.create({
      body: { name: 'Of the store', scopes: ['triggers:read'], project_id: id },
    });
    expect((await shell.run(['projects', 'delete', 'Store'])).code).toBe(64);
    const kept = await shell.run(['projects', 'delete', 'Store', '--yes']);
    expect(kept).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/ --revoke-keys revokes them\. .*\(conflict, req/),
    });
    expect(await run('projects', 'delete', 'Store', '--yes', '--revoke-keys')).toBe(
      `${id} (Store) is deleted. Keys revoked with it: 1.\n`,
    );
    expect(await use(key)).toBe('revoked');
  });
});

describe('members and invitations', () => {
  it('a member is invited, accepts, gets another role, and is removed', async () => {
    const invited = await shell.run(['invitations', 'create', '--role', 'viewer', '--organization', 'Team']);
    expect(invited.code).toBe(0);
    expect(invited.stdout).toMatch(/^http\S+#\S+\n$/);
    expect(invited.stderr).toMatch(/^ID +inv_\w+\nRole +viewer\nEmail +anyone with the link\n/);
    const theirs = await Shell.open();
    await theirs.signIn(deployment.url, bob);
    const accepted = await theirs.run(['invitations', 'accept'], { input: invited.stdout });
    await theirs.close();
    expect(accepted).toEqual({ code: 0, stderr: '', stdout: `You are viewer of ${team} now.\n` });

    const where = ['--organization', 'Team'];
    expect(await run('members', 'list', ...where)).toMatch(new RegExp(`^${bob.userId}  .* ${bob.email} +viewer `, 'm'));
    expect(await run('members', 'update', bob.email, '--role', 'admin', ...where)).toBe(`${bob.email} is admin now.\n`);
    expect(await run('members', 'remove', bob.userId, '--yes', ...where)).toMatch(/ is removed\. The keys that they/);
    expect(await jsonOf('members', 'list', ...where)).toMatchObject({ total: 1 });
  });

  it('an invitation is withdrawn by its email', async () => {
    const where = ['--organization', 'Team'];
    const { id } = await jsonOf<{ id: string }>(
      'invitations',
      'create',
      '--role',
      'admin',
      '--email',
      'grace@example.com',
      ...where,
    );
    expect(await run('invitations', 'list', ...where)).toMatch(new RegExp(`^${id}  grace@example.com  admin  `, 'm'));
    expect(await run('invitations', 'revoke', 'grace@example.com', ...where)).toBe(`${id} is withdrawn.\n`);
    expect(await jsonOf('invitations', 'list', ...where)).toMatchObject({ total: 0 });
  });
});

describe('credits', () => {
  it('are shown, and granted and removed by operators only', async () => {
    const rejected = await shell.run(['credits', 'grant', '5']);
    expect(rejected).toMatchObject({ code: 1, stderr: expect.stringContaining('(operator_required, request ') });
    expect(await run('credits', 'show')).toMatch(/^Balance +not metered: no limit$/m);
    const theirs = await Shell.open();
    await theirs.signIn(deployment.url, await deployment.operator());
    const where = ['--organization', 'Team'];
    const grant = await theirs.run(['credits', 'grant', '500', '--reason', 'A start', '--low-below', '50', ...where]);
    expect(grant.stdout).toMatch(new RegExp(`^${team} has 500 credits now \\(grant_\\w+\\)\\.\n$`));
    expect(await jsonOf('credits', 'show', ...where)).toEqual({ metered: true, balance: 500, low_below: 50 });
    expect(await run('credits', 'grants', ...where)).toMatch(/^grant_\w+ .* 500 +500 +A start$/m);
    const removed = await theirs.run(['credits', 'remove', '--yes', ...where]);
    await theirs.close();
    expect(removed).toEqual({ code: 0, stderr: '', stdout: `${team} is no longer metered.\n` });
  });
});

describe('an operator', () => {
  it('is added with a link, whose end is shown by the clock of this machine', async () => {
    const env = { DATABASE_URL: deployment.database.apiUrl, PUBLIC_URL: deployment.url };
    const { code, stdout } = await shell.run(['operator', 'add'], { env });
    expect(code).toBe(0);
    expect(stdout).toMatch(
      new RegExp(
        `^${deployment.url}/invitation#invite_\\S+\n\nThe link works once, until \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d\\. `,
      ),
    );
  });
});

describe('names', () => {
  it('stand for ids wherever a command takes one', async () => {
    const project = await ada.client.projects.create({ body: { name: 'Checkout', organization_id: team } });
    const where = ['--organization', 'Team', '--project', 'Checkout'];
    expect(await jsonOf('keys', 'list', ...where)).toMatchObject({ total: 0 });
    const made = await shell.run(['keys', 'create', 'In checkout', '--scope', 'triggers:read', ...where, '--json']);
    const { id } = JSON.parse(made.stdout) as { id: string };
    expect(JSON.parse(made.stdout)).toMatchObject({ organization_id: team, project_id: project.id });
    expect(await jsonOf('keys', 'disable', 'In checkout')).toMatchObject({ id, status: 'disabled' });
    expect(await jsonOf('usage', '--key', 'In checkout')).toMatchObject({ data: [] });
    const filters = [
      '--organization',
      'Team',
      '--key',
      'In checkout',
      '--actor',
      ada.email,
      '--not-subject',
      'Checkout',
    ];
    expect(await jsonOf('audit', 'list', ...filters, '--project', 'Checkout')).toMatchObject({ data: [] });
    const unknown = await shell.run(['audit', 'list', '--verified-by', 'Nobody']);
    expect(unknown).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^There is no API key or member called "N/),
    });
    expect(await jsonOf('organizations', 'rename', 'Team', 'Team')).toMatchObject({ id: team });
  });

  it('that nothing or several things have are rejected, with the ids of these', async () => {
    const none = await shell.run(['keys', 'revoke', 'Nothing', '--yes']);
    expect(none).toEqual({
      code: 1,
      stdout: '',
      stderr: 'There is no API key called "Nothing": `keyledger keys list` shows what there is.\n',
    });
    const twins = [await newKey('Twin'), await newKey('Twin', team)];
    const { code, stderr } = await shell.run(['keys', 'revoke', 'Twin', '--yes']);
    expect(code).toBe(64);
    expect(stderr).toMatch(/^There is more than one API key called "Twin"\. Give the id of one: key_\w+, key_\w+\.\n$/);
    for (const { id, key } of twins) {
      expect(stderr).toContain(id);
      expect(await use(key)).toBe('done');
    }
    expect(await jsonOf('keys', 'revoke', 'Twin', '--organization', 'Team', '--yes')).toMatchObject({
      id: twins[1]!.id,
    });
  });

  it('are exact: a part of one is not enough', async () => {
    await newKey('Whole name');
    expect((await shell.run(['keys', 'disable', 'Whole'])).code).toBe(1);
    expect((await shell.run(['keys', 'disable', 'whole name'])).code).toBe(1);
  });
});

describe('the default organization', () => {
  it('is the personal one, until `keyledger use` chooses another for all commands', async () => {
    await newKey('Mine');
    const { id } = await newKey('Of the team', team);
    const idsIn = async (...args: string[]) =>
      (await jsonOf<{ data: { id: string }[] }>('keys', 'list', ...args)).data.map((key) => key.id);
    expect(await idsIn('--search', 'Of the team')).toEqual([]);

    expect(await run('use', 'Team')).toBe(`Commands are about Team (${team}) now, unless they name another one.\n`);
    expect(await run('whoami')).toMatch(new RegExp(`^Organization +Team \\(${team}\\)$`, 'm'));
    expect(await idsIn('--search', 'Of the team')).toEqual([id]);
    expect(await idsIn('--search', 'Mine')).toEqual([]);
    expect((await shell.run(['keys', 'show', 'Mine'])).code).toBe(1);
    const { organization_id } = await jsonOf('projects', 'create', 'Of the team');
    expect(organization_id).toBe(team);
    expect(await run('credits', 'show')).toContain(team);
    expect(await idsIn('--search', 'Mine', '--organization', ada.organizationId)).toHaveLength(1);
    await shell.signIn(deployment.url, ada);
    expect(await run('whoami')).toContain(team);

    await run('use', '--personal');
    expect(await run('whoami')).not.toContain(team);
    expect(await idsIn('--search', 'Mine')).toHaveLength(1);
  });

  it('does not hide the others from --all-organizations, which names each one', async () => {
    const table = await run('keys', 'list', '--all-organizations', '--search', 'Of the team');
    expect(table).toMatch(/^ID +NAME +ORGANIZATION +STATUS .*\nkey_\w+  Of the team  Team +active /);
  });

  it('is not that of an API key, which has its own', async () => {
    const { key } = await newKey('Program', team);
    const env = { KEYLEDGER_API_KEY: key };
    expect(await shell.run(['use', 'Team'], { env })).toMatchObject({
      code: 64,
      stderr: expect.stringMatching(/^An API key always uses its own organization/),
    });
  });
});
