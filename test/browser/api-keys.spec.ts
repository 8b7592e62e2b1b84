import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Locator, Page } from 'playwright-core';
import type { Client } from '#libs/client/client.js';
import { toUuid } from '#libs/contract/ids.js';
import type { Account } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { codeOf } from '../support/rejection.js';
import { inChromium } from './in-chromium.js';
import {
  expectAccessible,
  expectFitsNarrowly,
  expectNoComplaints,
  expectCleanEnd,
  moveTo,
  startDashboard,
  type Dashboard,
  until,
} from './dashboard.js';

type NewKey = Parameters<Client['apiKeys']['create']>[0]['body'];

/** A page shows the changes of others within this time. */
const SHOWS_UP_WITHIN_MS = 30_000;

/** The browser's own message about a response that a test did not let through. */
const LOST_RESPONSE = /^Failed to load resource: net::ERR_FAILED/;

function has(command: string): boolean {
  try {
    execFileSync('which', [command], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

inChromium('the pages of API keys', () => {
  let dashboard: Dashboard;
  let ada: Account;
  let page: Page;
  let api: Client['apiKeys'];

  beforeAll(async () => {
    dashboard = await startDashboard({ APP_SCOPES: 'triggers:read,triggers:write,events:read' });
    ada = await dashboard.account();
    api = ada.client.apiKeys;
    page = await visit();
  });

  /** Opens a separate browser context with Ada signed in. */
  async function visit(): Promise<Page> {
    const visited = await dashboard.signedIn(ada);
    await visited.setViewportSize({ width: 1366, height: 800 });
    await visited.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    return visited;
  }

  afterAll(async () => {
    await dashboard?.stop();
  });

  const listOf = ({ organizationId }: Account) => `/org/${organizationId}/settings/api-keys`;
  const newKey = (body: Partial<NewKey> & Pick<NewKey, 'name'>) =>
    api.create({ body: { scopes: ['triggers:read'], ...body } });
  const keyPage = ({ id }: { id: string }) => `${listOf(ada)}/${id}`;
  const open = async (path: string, name: string | RegExp) => {
    await dashboard.open(page, path);
    await page.getByRole('heading', { level: 1, name }).waitFor();
  };
  /** Opens the page of a new key: no page before has data of it. */
  const openKey = async (key: { id: string; name: string }) => {
    await moveTo(page, keyPage(key));
    await page.getByRole('heading', { level: 1, name: key.name }).waitFor();
  };
  const openList = () => open(listOf(ada), 'API keys');
  const row = (name: string) => page.getByRole('row').filter({ has: page.getByRole('link', { name, exact: true }) });
  /** The part of the switch that a mouse can click. */
  const switchOf = (name: string) => row(name).locator('.mantine-Switch-track');
  const button = (name: string | RegExp) => page.getByRole('button', { name, exact: true });
  const field = (name: string) => page.getByRole('textbox', { name, exact: true });
  const tags = (name: string) => page.getByRole('combobox', { name, exact: true });
  const scopeSearch = () => page.getByRole('searchbox', { name: 'Search the scopes' });
  /** Fills in what the form for a new key asks for. */
  const nameKey = async (name: string) => {
    await field('Name').fill(name);
    await page.getByRole('checkbox', { name: 'triggers:read' }).check();
  };
  const shown = (label: string) => page.locator(`code[aria-label="${label}"]`);
  /** @returns the text that a click on this button copies to the clipboard */
  const copied = async (name: string) => {
    await page.evaluate("navigator.clipboard.writeText('')");
    await button(name).click();
    const clipboard = () => page.evaluate<string>('navigator.clipboard.readText()');
    await until(async () => expect(await clipboard()).not.toBe(''));
    return clipboard();
  };
  const act = async (name: string, action: string | RegExp) => {
    await button(`Actions for ${name}`).click();
    await page.getByRole('menuitem', { name: action }).click();
  };
  const confirm = async (name: string, how: 'Revoke key' | 'Delete key') => {
    await page.getByRole('textbox', { name: /to confirm/ }).fill(name);
    await page.getByRole('dialog').getByRole('button', { name: how }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  };
  /** The only key with this name. */
  const keyNamed = async (name: string) => {
    const { data } = await api.list({ query: { organization_id: ada.organizationId, search: name } });
    expect(data.map((key) => key.name)).toEqual([name]);
    return data[0]!;
  };
  const isGone = (what: Locator) => what.first().waitFor({ state: 'detached' });

  it('follow the AgentsGT document: create, see the pair once, toggle, edit the domains, delete', async () => {
    await openList();
    await button('Create API key').click();
    await field('Name').fill('Production Website');
    await button('Create').click();
    await page.getByText('Choose at least one scope').waitFor();
    await until(async () => expect(await scopeSearch().evaluate((input) => input.matches(':focus'))).toBe(true));
    await button('Choose all').click();
    await page.getByText('Anyone with this key can create other keys').waitFor();
    await isGone(page.getByText('Choose at least one scope'));
    await page.getByText(/^The key stops working on/).waitFor();
    await button('Let it never expire').click();
    await page.getByText('The key works until it is revoked or deleted').waitFor();
    await tags('Allowed domains').pressSequentially('example.com,*.example.com,');
    await button('Create').click();
    await page.getByText('The secret key is shown only once').waitFor();
    const [publicKey, secretKey] = [await shown('Public key').innerText(), await shown('Secret key').innerText()];
    expect(await copied('Copy: Secret key')).toBe(secretKey);
    await button('Done').click();
    await isGone(page.getByRole('dialog'));

    const pair = dashboard.client({ accessToken: `${publicKey}:${secretKey}` });
    expect(await pair.auth.whoami()).toMatchObject({ type: 'api_key', api_key: { credential: 'secret' } });
    const { scopes, expires_at: end } = await keyNamed('Production Website');
    expect([scopes, end]).toEqual([expect.arrayContaining(['api-keys:manage', 'events:read']), null]);
    const website = row('Production Website');
    await website.getByText('Active').waitFor();
    const headers = await page.getByRole('columnheader').allInnerTexts();
    expect(headers).toEqual(
      expect.arrayContaining([
        'Name',
        'Public key',
        'Env.',
        'Scopes',
        'Created',
        'Last used',
        'Uses',
        'Expires',
        'Status',
      ]),
    );

    await switchOf('Production Website').click();
    await website.getByText('Disabled').waitFor();
    await page.getByText('Production Website is disabled').waitFor();
    expect(await codeOf(pair.auth.whoami())).toBe('disabled');
    await button('Undo').click();
    await website.getByText('Active').waitFor();
    await page.getByText('Production Website is enabled').waitFor();
    await pair.auth.whoami();

    await page.getByRole('link', { name: 'Production Website' }).click();
    await page.getByRole('heading', { level: 1, name: 'Production Website' }).waitFor();
    await tags('Allowed domains').fill('app.example.org');
    await tags('Allowed domains').press(',');
    await button('Remove example.com').click();
    // Leaving asks first: nothing that was typed is lost silently.
    await page.goBack();
    await page.getByRole('dialog', { name: 'Discard your changes?' }).waitFor();
    await button('Keep editing').click();
    await isGone(page.getByRole('dialog'));
    await button('Save').click();
    await isGone(button('Save'));
    expect((await keyNamed('Production Website')).allowed_domains).toEqual(['*.example.com', 'app.example.org']);

    await openList();
    await act('Production Website', /Delete/);
    await page.getByText('Last used:').waitFor();
    await confirm('Production Website', 'Delete key');
    await isGone(row('Production Website'));
    expect(await codeOf(pair.auth.whoami())).toBe('revoked');
    expectNoComplaints(page);
  });

  it('follow the agntdata document: create, copy once, revoke, and see it as revoked', async () => {
    await openList();
    await button('Create API key').click();
    await nameKey('Production Server');
    await button('Create').click();
    const secret = await copied('Copy: Secret key');
    await button('Done').click();
    await isGone(page.getByRole('dialog'));
    await act('Production Server', /Revoke/);
    await confirm('Production Server', 'Revoke key');
    await row('Production Server').getByText('Revoked').waitFor();
    expect(await row('Production Server').getByRole('switch').count()).toBe(0);
    expect(await codeOf(dashboard.client({ apiKey: secret }).auth.whoami())).toBe('revoked');
    expectNoComplaints(page);
  });

  it('follow the commandAGI document: the keys of a project, create one, copy it', async () => {
    const project = await ada.client.projects.create({ body: { name: 'Checkout' } });
    const openKeys = () => open(`/org/${ada.organizationId}/projects/${project.id}/api-keys`, 'API keys of Checkout');
    await openKeys();
    await page.getByText('No API keys yet').waitFor();
    await button('Create key').click();
    await nameKey('Of the project');
    await button('Create').click();
    const secret = await copied('Copy: Secret key');
    const whoami = await dashboard.client({ apiKey: secret }).auth.whoami();
    expect(whoami).toMatchObject({ api_key: { project_id: project.id } });
    await button('Done').click();
    await row('Of the project').waitFor();
    await newKey({ name: 'Of no project' });
    await openKeys();
    await row('Of the project').waitFor();
    expect(await row('Of no project').count()).toBe(0);
    expectNoComplaints(page);
  });

  it('create a key with all limits, and show errors while the user types', async () => {
    const project = await ada.client.projects.create({ body: { name: 'Narrow' } });
    await openList();
    await page.keyboard.press('c');
    await field('Name').fill('Narrow key');
    await page.getByText('Live', { exact: true }).last().click();
    await page.getByRole('combobox', { name: 'Project' }).last().fill('Narr');
    await page.getByRole('option', { name: 'Narrow' }).click();
    await scopeSearch().fill('audit log');
    await page.getByRole('checkbox', { name: /^audit:read/ }).check();
    await scopeSearch().fill('');
    await page.getByRole('checkbox', { name: 'triggers:*' }).check();
    expect(await page.getByRole('checkbox', { name: 'triggers:read' }).isChecked()).toBe(true);

    await page.getByRole('combobox', { name: 'Expires' }).click();
    await page.getByRole('option', { name: 'In 30 days' }).click();
    await page.getByText(/^The key stops working on/).waitFor();

    await tags('Allowed domains').fill('https://app.example.co');
    await tags('Allowed domains').press('m');
    await page.getByText(/https:\/\/app\.example\.com must be a host/).waitFor();
    await tags('Allowed domains').fill('App.Example.com, *.example.com');
    await tags('Allowed domains').press('Enter');
    await isGone(page.getByText(/must be a host/));
    await page.getByRole('switch', { name: 'Limit the scopes of the public key' }).press('Space');
    await page.getByRole('combobox', { name: 'Public scopes' }).click();
    await page.getByRole('option', { name: 'triggers:read' }).click();
    await page.keyboard.press('Escape');

    await button('More').click();
    await tags('Allowed IP addresses').fill('10.0.0.0/33');
    await tags('Allowed IP addresses').press(' ');
    await page.getByText(/10\.0\.0\.0\/33 must be an address/).waitFor();
    await button('Create').click();
    await button('Remove 10.0.0.0/33').click();
    await tags('Allowed IP addresses').fill('203.0.113.0/24');
    await tags('Allowed IP addresses').press(' ');
    await button('Add a limit').click();
    await field('Units of limit 1').fill('250');
    await button('Add a limit').click();
    await field('External id').fill('cus_4711');
    await field('Description').fill('For the narrow gate');
    await field('Owner note').fill('Ask Ada');
    await button('Add an entry').click();
    await field('Name of entry 1').fill('team');
    await field('Value of entry 1').fill('gates');
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await button('Create').click();
    await page.getByText('The secret key is shown only once').waitFor();
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await button('Copy: .env line').click();
    await button('Done').click();

    const key = await keyNamed('Narrow key');
    expect(key).toMatchObject({
      environment: 'live',
      project_id: project.id,
      scopes: ['audit:read', 'triggers:*'],
      allowed_domains: ['app.example.com', '*.example.com'],
      public_scopes: ['triggers:read'],
      allowed_ips: ['203.0.113.0/24'],
      rate_limits: [
        { name: 'per-minute', limit: 250, window_seconds: 60 },
        { name: 'per-hour', limit: 100, window_seconds: 3_600 },
      ],
      external_id: 'cus_4711',
      description: 'For the narrow gate',
      owner_note: 'Ask Ada',
      metadata: { team: 'gates' },
    });
    const days = (Date.parse(key.expires_at!) - Date.parse(key.created_at)) / 86_400_000;
    expect(days).toBe(30);
    expectNoComplaints(page);
  });

  it('ask before the secret is lost, and store it nowhere afterwards', async () => {
    const heard: string[] = [];
    page.on('console', (message) => heard.push(message.text()));
    await openList();
    await button('Create API key').click();
    await page.waitForURL(/create=true/);
    await page.goBack();
    await isGone(page.getByRole('dialog'));
    await page.goForward();
    await nameKey('Kept nowhere');
    await button('Create').click();
    const secret = await shown('Secret key').innerText();

    const question = page.getByRole('dialog', { name: 'The secret key is not copied yet' });
    for (const leave of [
      () => page.goBack().catch(() => null),
      () => page.keyboard.press('Escape'),
      () => button('Done').click(),
    ]) {
      await leave();
      await question.waitFor();
      await button('Stay and copy it').click();
      await question.waitFor({ state: 'detached' });
      expect(await shown('Secret key').innerText()).toBe(secret);
    }
    const asked = new Promise<string>((resolve) => {
      page.once('dialog', (dialog) => {
        resolve(dialog.type());
        void dialog.dismiss();
      });
    });
    await page.evaluate('setTimeout(() => location.reload())');
    expect(await asked).toBe('beforeunload');

    await button('Done').click();
    await button('Leave without copying').click();
    await isGone(page.getByRole('dialog'));
    await row('Kept nowhere').waitFor();
    const places = await page.evaluate<string>(
      `(async () => JSON.stringify([
        document.documentElement.outerHTML, location.href, history.state, { ...localStorage }, { ...sessionStorage },
        document.cookie, await indexedDB.databases(), await caches.keys(),
      ]))()`,
    );
    const handle = secret.slice(-20);
    expect(places).not.toContain(handle);
    await page.goForward();
    expect(page.url()).not.toContain(handle);
    expect(heard.join()).not.toContain(handle);
    expectNoComplaints(page);
  });

  it('show examples that work unchanged', async () => {
    await openList();
    await button('Create API key').click();
    await nameKey('Examples');
    await button('Create').click();
    const env = await copied('Copy: .env line');
    const example = async (name: string) => {
      await page.getByRole('tab', { name }).click();
      return copied(`Copy the example: ${name}`);
    };
    const [curl, node, python] = [await example('curl'), await example('Node.js'), await example('Python')];
    await button('Done').click();

    const folder = await mkdtemp(join(tmpdir(), 'keyledger-examples-'));
    await writeFile(join(folder, '.env'), `${env}\n`);
    await writeFile(join(folder, 'whoami.mjs'), node);
    await writeFile(join(folder, 'whoami.py'), python);
    const programs = [
      ['bash', '-c', `set -a; . ./.env\n${curl}`],
      [process.execPath, '--env-file=.env', 'whoami.mjs'],
      ...(has('python3') ? [['bash', '-c', 'set -a; . ./.env; python3 whoami.py']] : []),
    ];
    for (const [command, ...args] of programs) {
      const { stdout } = await promisify(execFile)(command!, args, { cwd: folder });
      expect(stdout).toMatch(/name\W+Examples/);
    }
    await rm(folder, { recursive: true });
    expectNoComplaints(page);
  });

  it('create one key in two attempts if the first response is lost, and say that its secret is lost', async () => {
    await openList();
    await button('Create API key').click();
    await nameKey('Lost on the way');
    let lost = false;
    await page.route('**/api/v1/api-keys', async (route) => {
      if (lost || route.request().method() !== 'POST') return route.fallback();
      lost = true;
      await route.fetch();
      return route.abort();
    });
    await button('Create').click();
    await page.getByText('You can press Create again').waitFor();
    await button('Create').click();
    await page.getByText('The secret did not arrive').waitFor();
    await page.unroute('**/api/v1/api-keys');
    await button('Rotate the key').click();
    const secret = await shown('Secret key').innerText();
    await button('Copy: Secret key').click();
    await button('Done').click();
    const { id } = await keyNamed('Lost on the way');
    expect(await dashboard.client({ apiKey: secret }).auth.whoami()).toMatchObject({ api_key: { id } });
    expectNoComplaints(page, LOST_RESPONSE);
  });

  it('rotate with a grace period, and show when the older secret is no longer used', async () => {
    const key = await newKey({ name: 'To be rotated' });
    await openKey(key);
    await button('Rotate').click();
    await page.getByRole('radio', { name: 'In 24 hours' }).check();
    await expectAccessible(page);
    await page.getByRole('dialog').getByRole('button', { name: 'Rotate' }).click();
    const secret = await copied('Copy: Secret key');
    await button('Done').click();
    await page.getByText('The older secret was never used').waitFor();
    for (const apiKey of [key.key, secret]) await dashboard.client({ apiKey }).auth.whoami();
    await eventually(
      () => api.listSecrets({ params: { id: key.id } }),
      ({ data }) => data.every(({ last_used_at: lastUse }) => lastUse !== null),
    );
    await open(keyPage(key), 'To be rotated');
    await page.getByText(/some programs do not have the current one yet/).waitFor();
    await page.getByText('Older secret', { exact: true }).waitFor();
    expectNoComplaints(page);
  });

  it('show the usage and the events of a key, and whether it is in use before it is revoked', async () => {
    const key = await newKey({ name: 'In use', description: 'Checkout, eu-west' });
    const service = await newKey({ name: 'Our service', scopes: ['api-keys:verify'] });
    const { apiKeys } = dashboard.client({ apiKey: service.key });
    for (const scopes of [['triggers:read'], ['triggers:read'], ['events:read']])
      await apiKeys.verify({ body: { key: key.key, scopes, request: { method: 'GET', path: '/orders/12' } } });
    await apiKeys.verify({ body: { key: key.key } });
    await eventually(
      () => ada.client.usage.ofApiKey({ params: { id: key.id } }),
      ({ totals }) => totals.uses === 3 && totals.denials === 1,
    );
    await openKey(key);
    await page.getByText('3 accepted, 1 denied').waitFor();
    await page.getByText('Denied for GET /orders/12').waitFor();
    await page
      .getByText(/Created/)
      .first()
      .waitFor();
    await page.getByText('Endpoint', { exact: true }).click();
    await page.waitForURL(/by=endpoint/);
    await page.getByText('In numbers').click();
    await page.getByRole('columnheader', { name: 'GET /orders/:id' }).waitFor();
    await expectAccessible(page);
    await expectFitsNarrowly(page);

    await button('Revoke').click();
    await page.getByText('The key is in use.').waitFor();
    await page.getByRole('dialog').getByText('GET /orders/:id').waitFor();
    await page.getByRole('dialog').getByText('path not recorded').waitFor();
    await expectAccessible(page);
    await confirm('In use', 'Revoke key');
    await page.getByText(/^It was revoked on .+\./).waitFor();
    await isGone(field('Name'));
    await button('Delete').click();
    await confirm('In use', 'Delete key');
    await page.getByRole('heading', { level: 1, name: 'API keys' }).waitFor();
    await open(keyPage(key), 'Key not found');
    expectNoComplaints(page);
  });

  it('do not let one user overwrite a change by another', async () => {
    const key = await newKey({ name: 'Shared' });
    const params = { id: key.id };
    await openKey(key);
    await field('Description').fill('Mine');
    // A change outside of the form's fields does not disturb the form.
    await api.disable({ params });
    await button('Save').click();
    await isGone(button('Save'));
    expect(await api.get({ params })).toMatchObject({ description: 'Mine', status: 'disabled' });

    await field('Description').fill('Mine again');
    await field('External id').fill('cus_1');
    await api.update({ params, body: { description: 'Theirs', name: 'Shared by two' } });
    await button('Save').click();
    const conflict = page.getByRole('alert').filter({ hasText: 'This key changed while you were editing it' });
    await conflict.getByRole('row', { name: /Description Theirs Mine again$/ }).waitFor();
    await conflict.getByRole('row', { name: /Name Shared by two Shared \(you did not change it\)$/ }).waitFor();
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    expect((await api.get({ params })).description).toBe('Theirs');
    await button('Keep my changes').click();
    await button('Save').click();
    await isGone(button('Save'));
    expect(await api.get({ params })).toMatchObject({
      name: 'Shared by two',
      description: 'Mine again',
      external_id: 'cus_1',
    });

    await field('Description').fill('Once more');
    await api.update({ params, body: { description: 'Theirs in the end' } });
    await button('Save').click();
    await button('Use the current values').click();
    await until(async () => expect(await field('Description').inputValue()).toBe('Theirs in the end'));
    expectNoComplaints(page);
  });

  it('reset a switch if the server rejects the change', async () => {
    const key = await newKey({ name: 'Already gone' });
    await openList();
    await row('Already gone').getByText('Active').waitFor();
    await api.revoke({ params: { id: key.id } });
    await switchOf('Already gone').click();
    await page.getByText('Already gone was not changed').waitFor();
    await row('Already gone').getByText('revoked', { exact: true }).waitFor();
    expectNoComplaints(page);
  });

  it('show hundreds of keys: with scrolling, search, filters and order, which are in the address', async () => {
    const grace = await dashboard.account();
    const { id } = await grace.client.apiKeys.create({ body: { name: 'Needle', scopes: ['events:read'] } });
    await dashboard.sql.query(
      `INSERT INTO api_key OVERRIDING SYSTEM VALUE
       SELECT (jsonb_populate_record(a, jsonb_build_object('id', gen_random_uuid(), 'number', 1000000 + n,
         'name', 'Key ' || lpad(n::text, 4, '0'), 'public_key', md5(n::text), 'environment', CASE n % 2 WHEN 0 THEN 'live' ELSE 'test' END,
         'created_at', a.created_at - n * interval '1 hour'))).*
       FROM api_key a, generate_series(1, 299) n WHERE a.id = $1`,
      [toUuid(id)],
    );
    const other = await dashboard.signedIn(grace, listOf(grace));
    await other.setViewportSize({ width: 1366, height: 800 });
    await other.getByText('300 keys').waitFor();
    await other.getByRole('link', { name: 'Needle' }).waitFor();
    expect(await other.getByRole('row').count()).toBeLessThan(60);
    const scrolled = async () => {
      await other.evaluate('window.scrollTo(0, document.documentElement.scrollHeight)');
      return other.getByRole('link', { name: 'Key 0299' }).isVisible();
    };
    expect(await eventually(scrolled, Boolean)).toBe(true);
    await until(async () => expect(await other.getByRole('table').getAttribute('aria-rowcount')).toBe('301'));

    await other.keyboard.press('/');
    await other.keyboard.type('needle');
    await other.getByText('1 key found').waitFor();
    await other.getByRole('link', { name: 'Needle' }).waitFor();
    await other.waitForURL(/[?&]search=needle$/);
    await other.keyboard.press('Control+a');
    await other.keyboard.type('nothing like it');
    await other.getByText('No keys found').waitFor();
    await expectAccessible(other);
    await other.getByRole('button', { name: 'Clear filters' }).first().click();
    await other.getByText('300 keys').waitFor();
    await until(async () => expect(await other.getByRole('searchbox').inputValue()).toBe(''));

    await other.getByRole('combobox', { name: 'Environment' }).click();
    await other.getByRole('option', { name: 'Live' }).click();
    await other.getByText('149 keys found').waitFor();
    await other.getByRole('button', { name: 'Name' }).click();
    const name = other.getByRole('columnheader', { name: 'Name' });
    await other.getByRole('link', { name: 'Key 0002' }).waitFor();
    expect(await name.getAttribute('aria-sort')).toBe('ascending');
    await other.reload();
    await other.getByText('149 keys found').waitFor();
    expect(await name.getAttribute('aria-sort')).toBe('ascending');
    await other.goBack();
    await other.getByRole('link', { name: 'Key 0004' }).waitFor();
    await expectCleanEnd(other);
  });

  it('tell users without the right which roles may see keys and audit logs', async () => {
    const { id } = await ada.client.organizations.create({ body: { name: 'Acme' } });
    const members: Record<string, Account> = {};
    for (const role of ['viewer', 'developer'] as const) {
      const { token } = await ada.client.invitations.create({ params: { id }, body: { role } });
      members[role] = await dashboard.account(token);
    }
    const path = `/org/${id}/settings/api-keys`;
    const viewer = await dashboard.signedIn(members['viewer']!, path);
    await viewer.getByText('Your role cannot see API keys').waitFor();
    await expectAccessible(viewer);
    await expectCleanEnd(viewer);

    const own = await members['developer']!.client.apiKeys.create({
      body: { name: 'Of a developer', scopes: ['events:read'], organization_id: id },
    });
    const developer = await dashboard.signedIn(members['developer']!, `${path}/${own.id}`);
    await developer.getByRole('region', { name: 'Recent events' }).getByText('Created', { exact: true }).waitFor();
    await developer.getByRole('checkbox', { name: 'events:read' }).waitFor();
    expect(await developer.getByRole('checkbox', { name: /audit:read/ }).count()).toBe(0);
    await expectCleanEnd(developer);
  });

  it('show that another user has revoked the key', async () => {
    const grace = await dashboard.account();
    const key = await grace.client.apiKeys.create({ body: { name: 'Revoked elsewhere', scopes: ['triggers:read'] } });
    const watching = await dashboard.signedIn(grace, '/health/live');
    await watching.setViewportSize({ width: 1366, height: 800 });
    // Playwright cannot uninstall the clock, so this test is the last.
    await watching.clock.install();
    await watching.goto(listOf(grace));
    const watched = watching.getByRole('row', { name: /Revoked elsewhere/ });
    await watched.getByText('Active').waitFor();
    await grace.client.apiKeys.revoke({ params: { id: key.id } });
    await watching.clock.fastForward(SHOWS_UP_WITHIN_MS);
    await watched.getByText('revoked', { exact: true }).waitFor();
    expectNoComplaints(watching);
  });
});
