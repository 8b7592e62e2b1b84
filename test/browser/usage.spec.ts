import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import type { Account } from '../support/deployment.js';
import { allIngested, event, put } from '../support/events.js';
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
import { holdResponses } from './seen-texts.js';

const DAY_MS = 86_400_000;

inChromium('usage and credits', () => {
  let dashboard: Dashboard;
  let ada: Account;
  let team: string;
  let shop: string;
  let page: Page;
  let deleted: string;
  let gatewayKey: string;

  beforeAll(async () => {
    dashboard = await startDashboard();
    ada = await dashboard.account();
    ({ id: team } = await ada.client.organizations.create({ body: { name: 'Acme' } }));
    ({ id: shop } = await ada.client.projects.create({ body: { name: 'Shop', organization_id: team } }));
    gatewayKey = (await newKey({ name: 'Gateway', scopes: ['api-keys:verify'] })).key;
    const gateway = dashboard.client({ apiKey: gatewayKey });
    const production = await newKey({ name: 'Production server' });
    const web = await newKey({ name: 'Web shop', project_id: shop });
    const old = await newKey({ name: 'Old' });
    deleted = old.id;
    const verify = (key: string, path: string, scopes: string[] = [], cost = 1) =>
      gateway.apiKeys.verify({ body: { key, scopes, cost, request: { method: 'GET', path } } });
    for (const order of [1, 2, 3]) await verify(production.key, `/orders/${order}`, [], 5);
    await verify(production.key, '/orders/4', ['events:read']);
    await verify(web.key, '/carts');
    await verify(old.key, '/old');
    await ada.client.apiKeys.delete({ params: { id: old.id } });
    await useDaysAgo(production.id, 10, 6);
    await allIngested(dashboard);
    page = await dashboard.signedIn(ada, `/org/${team}/usage`);
  });

  beforeEach(() => page.setViewportSize({ width: 1280, height: 900 }));

  afterAll(() => dashboard.stop());

  const newKey = (body: { name: string; scopes?: string[]; project_id?: string }) =>
    ada.client.apiKeys.create({ body: { scopes: ['triggers:read'], organization_id: team, ...body } });
  const open = (search = '') => dashboard.open(page, `/org/${team}/usage${search}`);
  const part = (name: string) => page.getByRole('region', { name, exact: true });
  const total = (label: string) => page.locator('dl > div').filter({ has: page.getByText(label, { exact: true }) });

  /** The service counts these uses at the time of the requests, which is days ago. */
  function useDaysAgo(keyId: string, days: number, uses: number): Promise<void> {
    const time = new Date(Date.now() - days * DAY_MS).toISOString();
    const data = {
      actor: { type: 'api_key', id: keyId },
      ip: null,
      user_agent: null,
      request_id: 'req_1',
      seq: 1,
      method: 'GET',
      path: '/orders/1',
      cost: 1,
      scopes: [],
    };
    return put(
      dashboard,
      team,
      Array.from({ length: uses }, () => event(team, { type: 'api_key.used', subject: keyId, time, data })),
    );
  }

  it('are summarized: totals and the previous period, top endpoints and keys, and denials by reason', async () => {
    await open();
    await total('Denials').getByText('1', { exact: true }).waitFor();
    await until(async () =>
      expect(await total('Uses').innerText()).toMatch(/^Uses\s+5\s+-17% from 6 in the previous period$/),
    );
    await total('Cost in credits').getByText('17').waitFor();
    await part('Top endpoints').getByText('GET /orders/:id').waitFor();
    const orders = part('Top endpoints').getByRole('listitem').filter({ hasText: '/orders/:id' });
    await until(async () => expect(await orders.innerText()).toMatch(/\s4\s+-33% from 6\s+1 denied$/));
    await part('Top keys').getByRole('link', { name: 'Production server' }).waitFor();
    await part('Top keys').getByRole('listitem').filter({ hasText: 'Web shop' }).getByText('None before').waitFor();
    await part('Top keys')
      .getByText(`key_…${deleted.slice(-6)}`)
      .waitFor();
    await part('Denials by reason').getByText('A scope is missing').waitFor();
    await part('Denials by reason').getByText('None before').waitFor();
    await page.getByRole('figure', { name: /Accepted 5, Denied 1/ }).waitFor();
    await page.locator('figure svg').first().waitFor();
    expectNoComplaints(page);
  });

  it('are grouped, counted by the hour and shown as a table, with the choice in the address', async () => {
    await open();
    await page.getByRole('radiogroup', { name: 'Grouped by' }).getByText('Endpoint').click();
    await page.getByRole('figure', { name: /GET \/orders\/:id 4/ }).waitFor();
    await page.getByRole('radiogroup', { name: 'Grouped by' }).getByText('Key').click();
    await page.getByRole('figure', { name: /Production server 4/ }).waitFor();
    await page.getByRole('radiogroup', { name: 'Grouped by' }).getByText('Outcome').click();
    await page.getByRole('figure', { name: /Accepted 5, A scope is missing 1/ }).waitFor();
    await page.getByRole('radiogroup', { name: 'Shown as' }).getByText('Table').click();
    await page.getByRole('columnheader', { name: 'A scope is missing' }).waitFor();
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await page.getByRole('radiogroup', { name: 'Counted by' }).getByText('Hours').click();
    await page.getByText('Times are in UTC.').waitFor();
    // No test can operate the browser's own file dialog.
    await page.evaluate('delete window.showSaveFilePicker');
    const saved = page.waitForEvent('download');
    await page.getByRole('button', { name: 'CSV' }).click();
    const csv = readFileSync(await (await saved).path(), 'utf8')
      .trimEnd()
      .split('\r\n');
    expect(csv[0]).toBe('start,time,complete,Accepted,A scope is missing');
    expect(csv.at(-1)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:00:00\.000Z,.*,false,\d,\d$/);
    await until(() =>
      expect(Object.fromEntries(new URL(page.url()).searchParams)).toEqual({
        group: 'outcome',
        interval: 'hour',
        view: 'table',
      }),
    );
    await page.reload();
    await page.getByRole('columnheader', { name: 'A scope is missing' }).waitFor();
    await page.goBack();
    await page.goBack();
    await page.getByRole('figure').waitFor();
    expectNoComplaints(page);
  });

  it('stay at their own times until those of another period are read', async () => {
    await open();
    const figure = page.getByRole('figure', { name: /Accepted 5, Denied 1/ });
    await figure.waitFor();
    const shown = await figure.getAttribute('aria-label');
    const release = await holdResponses(page, /\/usage\?/);
    await page.getByRole('combobox', { name: 'Time', exact: true }).click();
    await page.getByRole('option', { name: 'Last 30 days' }).click();
    await page.locator('figure[data-stale]').waitFor();
    expect(await page.getByRole('figure').getAttribute('aria-label')).toBe(shown);
    await release();
    await page.getByRole('figure', { name: /Accepted 11, Denied 1/ }).waitFor();
    expect(await page.getByRole('figure').getAttribute('aria-label')).not.toContain(shown!.split(':')[0]);
    expectNoComplaints(page);
  });

  it('are narrowed to a project and a custom period', async () => {
    await open();
    await page.getByRole('combobox', { name: 'Project' }).click();
    await page.getByRole('option', { name: 'Shop' }).click();
    await part('Top keys').getByRole('link', { name: 'Web shop' }).waitFor();
    await total('Uses').getByText('1', { exact: true }).waitFor();
    await page.waitForURL(new RegExp(`project_id=${shop}`));
    const day = (ago: number) => new Date(Date.now() - ago * DAY_MS).toISOString().slice(0, 10);
    await moveTo(page, `/org/${team}/usage?period=custom`);
    await page.getByLabel('From', { exact: true }).fill(day(12));
    await page.getByLabel('To', { exact: true }).fill(day(9));
    await total('Uses').getByText('6', { exact: true }).waitFor();
    await page.waitForURL((url) => url.search.includes(`from=${day(12)}&to=${day(9)}`));
    await page.getByRole('combobox', { name: 'Time', exact: true }).click();
    await page.getByRole('option', { name: 'Last 30 days' }).click();
    await total('Uses').getByText('11', { exact: true }).waitFor();
    await page.waitForURL((url) => url.search === '?period=30d');
    await page.getByRole('combobox', { name: 'Time zone' }).fill('Kiritimati');
    await page.getByRole('option', { name: 'Pacific/Kiritimati' }).click();
    await page.getByText('Times are in Pacific/Kiritimati.').waitFor();
    await page.waitForURL((url) => url.searchParams.get('zone') === 'Pacific/Kiritimati');
    await total('Uses').getByText('11', { exact: true }).waitFor();
    expectNoComplaints(page);
  });

  it('separate requests to Keyledger’s own API from requests to the vendor’s API', async () => {
    await dashboard.client({ apiKey: gatewayKey }).auth.whoami();
    await allIngested(dashboard);
    await open();
    await part('Top endpoints').getByText('GET /orders/:id').waitFor();
    expect(await page.getByText('/api/v1/').count()).toBe(0);
    expect(await part('Top keys').getByText('Gateway').count()).toBe(0);
    await page.getByRole('combobox', { name: 'API' }).click();
    await page.getByRole('option', { name: 'Keyledger’s own API' }).click();
    await part('Top endpoints').getByText('GET /api/v1/whoami').waitFor();
    await part('Top keys').getByRole('link', { name: 'Gateway' }).waitFor();
    await total('Uses').getByText('1', { exact: true }).waitFor();
    await page.waitForURL(/surface=management/);
    expectNoComplaints(page);
  });

  it('show how to send the first request if there was none', async () => {
    await dashboard.open(page, `/org/${ada.organizationId}/usage`);
    await page.getByText(`curl -i -H "X-API-Key: $KEY" ${dashboard.url}/authz`).waitFor();
    await page.getByText(/^Not metered/).waitFor();
    expectNoComplaints(page);
  });

  it('show the balance, warn if it is low, and list the grants page by page', async () => {
    const olga = await dashboard.operator();
    for (let n = 1; n <= 12; n++)
      await olga.client.credits.grant({
        params: { id: team },
        body: { amount: n * 10, reason: `Grant ${n}`, low_below: 900 },
      });
    await open();
    await page.getByText('The balance is low').waitFor();
    await part('Credits').getByText('780', { exact: true }).first().waitFor();
    await part('Credits').getByText('Grant 12').waitFor();
    expect(await part('Credits').getByText('Grant 2').count()).toBe(0);
    await part('Credits').getByRole('button', { name: 'Show more' }).click();
    await part('Credits').getByText('Grant 1', { exact: true }).waitFor();
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    expectNoComplaints(page);
  });

  it('stay on the page while the server is unavailable, and continue when it is back', async () => {
    await open();
    await total('Uses').getByText('5', { exact: true }).waitFor();
    await dashboard.restartApi();
    await page.getByRole('combobox', { name: 'Time', exact: true }).click();
    await page.getByRole('option', { name: 'Last 30 days' }).click();
    await total('Uses').getByText('11', { exact: true }).waitFor();
    expect(await page.getByRole('alert').filter({ hasText: 'cannot be reached' }).count()).toBe(0);
    // The test below signs in to the same page.
    await expectCleanEnd(page, /net::ERR_/);
  });

  it('are open to a viewer, without the names of keys that a viewer may not read', async () => {
    const { token } = await ada.client.invitations.create({ params: { id: team }, body: { role: 'viewer' } });
    const viewer = await dashboard.signedIn(await dashboard.account(token), `/org/${team}/usage`);
    await viewer
      .getByRole('region', { name: 'Top keys' })
      .getByText(`key_…${deleted.slice(-6)}`)
      .waitFor();
    expect(await viewer.getByText('Production server').count()).toBe(0);
    await expectCleanEnd(viewer);
  });
});
