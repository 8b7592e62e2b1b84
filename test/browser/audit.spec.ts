import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import type { AuditEvent } from '#libs/contract/audit.js';
import { DEPLOYMENT_ID, type Role } from '#libs/contract/organizations.js';
import { leafHash } from '#libs/tlog/leaf.js';
import { fillAuditLog } from '../support/audit-log.js';
import type { Account } from '../support/deployment.js';
import { allIngested, put, event } from '../support/events.js';
import { eventually } from '../support/eventually.js';
import { inChromium } from './in-chromium.js';
import {
  expectAccessible,
  expectFitsNarrowly,
  expectNoComplaints,
  expectCleanEnd,
  moveTo,
  painted,
  startDashboard,
  type Dashboard,
  until,
} from './dashboard.js';
import { holdResponses } from './seen-texts.js';

inChromium('the audit log', () => {
  let dashboard: Dashboard;
  let ada: Account;
  let team: string;
  let production: { id: string; key: string };
  let page: Page;

  beforeAll(async () => {
    dashboard = await startDashboard();
    ada = await dashboard.account();
    ({ id: team } = await ada.client.organizations.create({ body: { name: 'Acme' } }));
    production = await newKey('Production server');
    const gateway = await newKey('Gateway', ['api-keys:verify']);
    const verify = (path: string, scopes: string[] = []) =>
      dashboard.client({ apiKey: gateway.key }).apiKeys.verify({
        body: {
          key: production.key,
          scopes,
          request: { method: 'GET', path, ip: '203.0.113.9', user_agent: 'shop/1.0' },
        },
      });
    await verify('/orders/1');
    await verify('/customers');
    await verify('/orders/2', ['events:read']);
    await ada.client.apiKeys.update({
      params: { id: production.id },
      body: { name: 'Production server (EU)', scopes: ['triggers:read', 'events:read'] },
    });
    await ada.client.apiKeys.rotate({ params: { id: production.id } });
    await allIngested(dashboard);
    page = await dashboard.signedIn(ada, `/org/${team}/audit`);
  });

  beforeEach(() => page.setViewportSize({ width: 1280, height: 900 }));

  afterAll(() => dashboard.stop());

  const newKey = (name: string, scopes = ['triggers:read']) =>
    ada.client.apiKeys.create({ body: { name, organization_id: team, scopes } });
  const open = (search = '') => dashboard.open(page, `/org/${team}/audit${search}`);
  /** Changes the address, as a link does. */
  const move = (search = '') => moveTo(page, `/org/${team}/audit${search}`);
  const rows = (on = page) => on.getByRole('table', { name: 'Events' }).locator('.event-link');
  const row = (text: string | RegExp, on = page) => rows(on).filter({ hasText: text }).first();
  const drawer = (on = page) => on.getByRole('dialog', { name: /^Event/ });

  /** Adds events of a type that only this test uses, so a filter finds them. */
  async function happen(organizationId: string, subjects: readonly string[]): Promise<void> {
    await put(
      dashboard,
      organizationId,
      subjects.map((subject) => event(organizationId, { type: 'test.happened', subject })),
    );
  }

  async function member(role: Role): Promise<Account> {
    const { token } = await ada.client.invitations.create({ params: { id: team }, body: { role } });
    return dashboard.account(token);
  }

  it('shows events as sentences, newest first, with current names', async () => {
    await open();
    await row('Ada Lovelace rotated the key Production server (EU)').waitFor();
    await until(async () => {
      const sentences = await rows().allTextContents();
      expect(sentences).toEqual(
        expect.arrayContaining([
          'Ada Lovelace changed the name and the scopes of the key Production server (EU)',
          'Production server (EU) was denied for GET /orders/2: the scope events:read is missing',
          'Production server (EU) was used for GET /orders/1',
          'Ada Lovelace created the test key Production server',
          'Ada Lovelace created the organization Acme',
        ]),
      );
      expect(sentences[0]).toBe('Ada Lovelace rotated the key Production server (EU)');
      expect(sentences.at(-1)).toBe('Ada Lovelace created the organization Acme');
    });
    await page.getByText('events. There are no older events.').waitFor();
    expectNoComplaints(page);
  });

  it('shows a row only when it knows the names in it', async () => {
    const release = await holdResponses(page, /\/api\/v1\/audit\/names\?/);
    const read = page.waitForResponse(/audit\/events\?.*outcome=valid/);
    await open('?outcome=valid');
    await (await read).finished();
    await painted(page);
    await page.getByRole('status', { name: 'Loading' }).waitFor();
    expect(await rows().count()).toBe(0);
    await release();
    await row('Production server (EU) was used for GET /orders/1').waitFor();
  });

  it('is narrowed by filters that are in the address, survive a reload, and end with Back', async () => {
    await open();
    await page.getByRole('button', { name: 'Filters' }).click();
    await page.getByRole('combobox', { name: 'Outcome of a verification' }).click();
    await page.getByRole('option', { name: 'A scope is missing' }).click();
    await page.keyboard.press('Escape');
    await page.getByRole('option', { name: 'A scope is missing' }).waitFor({ state: 'hidden' });
    await page.getByLabel('Address or network').fill('203.0.113.0/33');
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.getByText('must be an address or a network').waitFor();
    await page.getByLabel('Address or network').fill('203.0.113.0/24');
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.getByText('One event. There are no older events.').waitFor();
    await page.waitForURL((url) => url.search === '?outcome=insufficient_scope&ip=203.0.113.0%2F24');
    await page.reload();
    await page.getByText('Address: 203.0.113.0/24').waitFor();
    await page.getByText('One event. There are no older events.').waitFor();
    await until(async () =>
      expect(await rows().allTextContents()).toEqual([
        'Production server (EU) was denied for GET /orders/2: the scope events:read is missing',
      ]),
    );
    await page.goBack();
    await row('created the organization').waitFor();
    await page.goForward();
    await page.getByRole('button', { name: 'Remove Outcome' }).click();
    await page.getByText('3 events. There are no older events.').waitFor();
    await page.getByRole('button', { name: 'Clear all' }).click();
    await row('created the organization').waitFor();
  });

  it('offers every type of event, groups of types, and periods', async () => {
    await open();
    await page.getByRole('combobox', { name: 'Types of events' }).click();
    await page.getByRole('option', { name: 'Organization: all' }).click();
    await page.keyboard.press('Escape');
    await page.getByText('One event. There are no older events.').waitFor();
    await page.getByRole('combobox', { name: 'Time' }).click();
    await page.getByRole('option', { name: 'Last hour' }).click();
    await page.waitForURL(/range=1h/);
    await page.getByText('One event. There are no older events.').waitFor();
    await move('?range=custom&from=2020-01-01T00:00:00.000Z&to=2020-01-02T00:00:00.000Z');
    await page.getByText('No event matches these filters').waitFor();
    expect(await page.getByRole('switch', { name: 'Live' }).isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Clear the filters' }).click();
    await row('created the organization').waitFor();
  });

  it('shows one event in full at its own address: actor, source, changes and exact text', async () => {
    const { data } = await ada.client.audit.listEvents({ query: { organization_id: team, type: 'api_key.updated' } });
    const { leaf_index: index } = data[0]!;
    const text = await exactText(index);
    await open();
    await row('changed the name and the scopes').click();
    await page.waitForURL(new RegExp(`event=${index}$`));
    const details = drawer();
    await details.getByText('− Production server').waitFor();
    const shown = await details.innerText();
    for (const part of [
      '+ Production server (EU)',
      '+ events:read',
      String(data[0]!.event.data['request_id']),
      Buffer.from(leafHash(Buffer.from(text))).toString('hex'),
      'UTC',
    ])
      expect(shown).toContain(part);
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await details.getByRole('button', { name: 'Copy the event as it is stored' }).click();
    await until(async () => expect(await page.evaluate('navigator.clipboard.readText()')).toBe(text));

    await page.reload();
    await details.getByText('+ events:read').waitFor();
    await details.getByRole('button', { name: 'Newer event' }).click();
    await details.getByRole('heading', { name: /rotated the key/ }).waitFor();
    await details.getByRole('button', { name: 'Filter by this: Who' }).click();
    await page.waitForURL(new RegExp(`actor_id=${ada.userId}`));
    await details.waitFor({ state: 'hidden' });
    await row('rotated').click();
    await details.getByRole('link', { name: 'Production server (EU)' }).click();
    await page.waitForURL(new RegExp(`/settings/api-keys/${production.id}$`));
    await move('?event=0');
    await details.getByRole('heading', { name: /created the organization/ }).waitFor();
    await move('?event=999999');
    await details.getByText('The audit log has no event 999,999').waitFor();
    await page.keyboard.press('Escape');
    await page.waitForURL((url) => url.search === '');
    // Back must not open again what was closed.
    await row('created the organization').click();
    await page.waitForURL(/event=/);
    await page.keyboard.press('Escape');
    await page.waitForURL((url) => url.search === '');
    await page.goBack();
    await page.waitForURL((url) => url.search === '?event=0');
    expectNoComplaints(page);
  });

  it('finds what belongs to an event by its request, and leaves out what a filter finds', async () => {
    const { data } = await ada.client.audit.listEvents({ query: { organization_id: team, type: 'api_key.used' } });
    const { leaf_index: index, event: used } = data[0]!;
    const request = String(used.data['request_id']);
    await open(`?event=${index}`);
    await drawer().getByRole('button', { name: 'Filter by this: Request' }).click();
    await page.waitForURL(new RegExp(`request_id=${request}`));
    await drawer().waitFor({ state: 'hidden' });
    await until(async () => expect(await rows().count()).toBe(1));
    await page.getByRole('button', { name: 'Request: leave these out' }).click();
    await page.waitForURL(new RegExp(`not_request_id=${request}`));
    await row('created the organization Acme').waitFor();
    await page.getByText('Request is not').waitFor();
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await move(`?event=${index}`);
    await drawer().getByRole('button', { name: 'Leave out: What' }).click();
    await page.waitForURL(/not_type=api_key\.used/);
    await row('was denied').waitFor();
    // The earlier list stays until the new one is there.
    await until(async () => expect(await rows().filter({ hasText: 'was used' }).count()).toBe(0));

    await page.getByRole('button', { name: 'Filters' }).click();
    const { data: secrets } = await ada.client.apiKeys.listSecrets({ params: { id: production.id } });
    await page.getByLabel('Secret of a key, by its id').fill(secrets[0]!.id);
    await page.getByLabel('Request id').fill('two words');
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.getByText('must be a request id').waitFor();
    await expectAccessible(page);
    await page.getByLabel('Request id').fill('');
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.waitForURL(new RegExp(`secret_id=${secrets[0]!.id}`));
    await row('rotated the key').waitFor();
    expectNoComplaints(page);
  });

  async function exactText(index: number): Promise<string> {
    const lines = await (await ada.client.audit.exportEvents({ query: { organization_id: team } })).text();
    const line = lines.split('\n').find((candidate) => candidate.startsWith(`{"leaf_index":${index},`))!;
    return line.slice(line.indexOf('"event":') + '"event":'.length, -1);
  }

  it('can be walked through with the arrow keys', async () => {
    await open();
    await row('rotated').focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await drawer()
      .getByRole('heading', { name: /changed the name/ })
      .waitFor();
    await page.keyboard.press('Escape');
    await drawer().waitFor({ state: 'hidden' });
    const focused = () => page.evaluate<string>('document.activeElement.textContent');
    await until(async () => expect(await focused()).toContain('changed the name'));
  });

  it('shows an event of an unknown type by the name of the type', async () => {
    await put(dashboard, team, [event(team, { type: 'robot.was_greeted', subject: 'Robby' })]);
    await allIngested(dashboard);
    await open('?type=robot.*');
    expect(await row(/robot/).textContent()).toBe('An unknown caller: robot was greeted (Robby)');
    await row(/robot/).click();
    await drawer().getByText('"robot.was_greeted"').waitFor();
  });

  it('shows new events automatically while it is live, and holds them back while the user has scrolled down', async () => {
    await open('?live=true&type=test.*');
    await page.getByText('New events appear automatically').waitFor();
    await happen(team, ['first']);
    await row('first').waitFor();
    await happen(
      team,
      Array.from({ length: 60 }, (_, n) => `flood ${n}`),
    );
    await row('flood 59').waitFor();
    // Scrolls by script, because the mouse wheel would go on scrolling for a while.
    await page.evaluate('scrollTo(0, 1500)');
    await row('flood 59').waitFor({ state: 'detached' });
    const before = await rows().allTextContents();
    const scrolled = await page.evaluate<number>('scrollY');
    await happen(team, ['held 1', 'held 2']);
    await page.getByRole('button', { name: '2 new events' }).waitFor();
    expect(await rows().allTextContents()).toEqual(before);
    expect(await page.evaluate<number>('scrollY')).toBe(scrolled);
    await page.getByRole('button', { name: '2 new events' }).click();
    await until(async () => {
      const sentences = await rows().allTextContents();
      expect(sentences.slice(0, 3).map(subjectOf)).toEqual(['held 2', 'held 1', 'flood 59']);
    });
    expectNoComplaints(page);
    await move();
  });

  const subjectOf = (sentence: string) => /\((.*)\)$/.exec(sentence)?.[1];

  it('is downloaded with the filters, directly to a file if the browser can, and without a token in an address', async () => {
    const addresses: string[] = [];
    page.on('request', (request) => addresses.push(request.url()));
    await open('?type=api_key.*&outcome=valid&path=/orders');
    await row('/orders/1').waitFor();
    await page.evaluate('delete window.showSaveFilePicker');
    const events = linesOf(await downloaded('JSON Lines, exact'));
    expect(events.map(({ event: { data } }) => data['path'])).toEqual(['/orders/1']);
    const csv = await downloaded('CSV, for a spreadsheet');
    expect(csv).toMatch(/^leaf_index,time,type/);
    expect(csv.trimEnd().split('\n')).toHaveLength(2);

    // Stands in for the browser's own file dialog, which no test can operate.
    await page.evaluate(`(async () => {
      const folder = await navigator.storage.getDirectory();
      window.chosen = await folder.getFileHandle('chosen', { create: true });
      window.showSaveFilePicker = () => Promise.resolve(window.chosen);
    })()`);
    await choose('JSON Lines, exact');
    const written = () => page.evaluate<string>('chosen.getFile().then((file) => file.text())');
    await until(async () => expect(linesOf(await written())).toEqual(events));
    expect(addresses.filter((address) => /eyJ|token/.test(address))).toEqual([]);
    expectNoComplaints(page);
  });

  const linesOf = (text: string) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as AuditEvent);

  async function choose(format: string): Promise<void> {
    await page.getByRole('button', { name: 'Export' }).click();
    await page.getByRole('menuitem', { name: format }).click();
  }

  async function downloaded(format: string): Promise<string> {
    const download = page.waitForEvent('download');
    await choose(format);
    return readFile(await (await download).path(), 'utf8');
  }

  it('ends a cancelled download, and leaves nothing behind', async () => {
    await open('?type=api_key.*');
    await row('rotated').waitFor();
    await page.evaluate('delete window.showSaveFilePicker');
    let release = () => undefined as void;
    const held = new Promise<void>((resolve) => (release = resolve));
    await page.route('**/api/v1/audit/export*', async (route) => {
      await held;
      await route.continue();
    });
    const downloads: unknown[] = [];
    page.on('download', (download) => downloads.push(download));
    await choose('JSON Lines, exact');
    await page.getByRole('button', { name: 'Cancel' }).click();
    release();
    await page.getByRole('button', { name: 'Export' }).waitFor();
    expect(downloads).toEqual([]);
    await page.unroute('**/api/v1/audit/export*');
  });

  it('of 10,000 events scrolls, with at most a few dozen rows in the page', async () => {
    const { id } = await ada.client.organizations.create({ body: { name: 'Busy' } });
    await allIngested(dashboard);
    await fill(id, 10_000);
    await dashboard.open(page, `/org/${id}/audit`);
    await row('/things/9999').waitFor();
    const began = performance.now();
    for (const depth of [500, 1_000]) {
      const scrolled = () =>
        page.evaluate<number>(
          'scrollTo(0, document.documentElement.scrollHeight), document.documentElement.scrollHeight',
        );
      await eventually(scrolled, (height) => height >= depth * ROW_PX, SCROLLED_WITHIN_MS);
      await page.evaluate(`scrollTo(0, ${depth * ROW_PX})`);
      await rows().nth(30).waitFor();
      process.stderr.write(`${depth} events deep after ${Math.round(performance.now() - began)} ms\n`);
      expect(await page.locator('.event').count()).toBeLessThan(80);
    }
    await page.evaluate(`scrollTo(0, ${500 * ROW_PX})`);
    await row(/\/things\/94\d\d$/).waitFor();
    await page.evaluate('scrollTo(0, 0)');
    await row('/things/9999').waitFor();
    // The tests below sign in to the same page.
    await expectCleanEnd(page);
  });

  const ROW_PX = 42;
  /** Each step loads a page of events, and the machine may be busy. */
  const SCROLLED_WITHIN_MS = 60_000;

  const fill = (organizationId: string, size: number) =>
    fillAuditLog(dashboard.sql, size, {
      organizationId,
      apiKeyId: production.id,
      data: {
        ip: '192.0.2.1',
        user_agent: 'shop/1.0',
        request_id: 'req_1',
        seq: 1,
        method: 'GET',
        cost: 1,
        scopes: [],
      },
      path: '/things/',
    });

  it('continues after a restart of the server without a gap or a repetition', async () => {
    const { id } = await ada.client.organizations.create({ body: { name: 'Restarted' } });
    const restarted = await dashboard.signedIn(ada, `/org/${id}/audit?live=true&type=test.*`);
    await restarted.getByText('New events appear automatically').waitFor();
    await happen(id, ['before']);
    await row('before', restarted).waitFor();
    await happen(id, ['at the last moment']);
    await dashboard.restartApi();
    await happen(id, ['meanwhile']);
    await row('meanwhile', restarted).waitFor();
    await happen(id, ['after']);
    await row('after', restarted).waitFor();
    await until(async () =>
      expect((await rows(restarted).allTextContents()).map(subjectOf)).toEqual([
        'after',
        'meanwhile',
        'at the last moment',
        'before',
      ]),
    );
    await expectCleanEnd(restarted, /net::ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING)/);
  });

  it('is open to an auditor, and tells a viewer why it is not', async () => {
    const auditor = await dashboard.signedIn(await member('auditor'), `/org/${team}/audit?type=api_key.*`);
    await row('Ada Lovelace rotated the key Production server (EU)', auditor).waitFor();
    await expectCleanEnd(auditor);
    const viewer = await dashboard.signedIn(await member('viewer'), `/org/${team}/audit`);
    await viewer.getByRole('heading', { name: 'Your role cannot read the audit log' }).waitFor();
    await viewer
      .getByText('Your role is viewer. The audit log is open to these roles: owner, admin, and auditor.')
      .waitFor();
    await expectAccessible(viewer);
    await expectFitsNarrowly(viewer);
    await expectCleanEnd(viewer);
  });

  it('of the deployment and of any organization is open to an operator', async () => {
    const olga = await dashboard.operator();
    const operator = await dashboard.signedIn(olga, `/org/${DEPLOYMENT_ID}/audit`);
    await row('Ada Lovelace became an operator of the deployment', operator).waitFor();
    await dashboard.open(operator, `/org/${team}/audit?type=operator.*&live=true`);
    await row(/Ada Lovelace \(operator\) read \/api\/v1\/audit\/events/, operator).click();
    await drawer(operator).getByText('GET /api/v1/audit/events', { exact: true }).first().waitFor();
    await expectCleanEnd(operator);
  });
});
