import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import type { Account } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { inChromium } from './in-chromium.js';
import { expectAccessible, expectCleanEnd, startDashboard, type Dashboard } from './dashboard.js';

/** More events with names than the page reads at once. */
const RENAMED = 520;

inChromium('the audit log of an organization with many names', () => {
  let dashboard: Dashboard;
  let ada: Account;
  let team: string;
  let oldest: { readonly id: string; readonly key: string };
  let page: Page;

  beforeAll(async () => {
    dashboard = await startDashboard();
    ada = await dashboard.account();
    team = (await ada.client.organizations.create({ body: { name: 'Acme' } })).id;
    oldest = await newKey('The oldest key');
    const twins = [await newKey('Twin'), await newKey('Twin')];
    const params = { id: twins[0]!.id };
    for (let n = 0; n < RENAMED; n++)
      await ada.client.apiKeys.update({ params, body: { name: n % 2 === 0 ? `Name ${n}` : 'Twin' } });
    await fetch(`${dashboard.url}/api/v1/organizations/${team}`, { headers: { 'x-api-key': oldest.key } });
    await allIngested(dashboard);
    page = await dashboard.signedIn(ada, `/org/${team}/audit?type=api_key.denied`);
  });

  afterAll(() => dashboard?.stop());

  const newKey = (name: string) =>
    ada.client.apiKeys.create({ body: { name, organization_id: team, scopes: ['triggers:read'] } });
  const rows = () => page.getByRole('table', { name: 'Events' }).locator('.event-link');
  const openFilters = async () => {
    await page.getByRole('button', { name: 'Filters' }).click();
    return page.getByRole('combobox', { name: 'Key affected' });
  };

  it('names the key of an old event, with one request for all names on the screen', async () => {
    await rows().filter({ hasText: 'The oldest key was denied' }).waitFor();
    const asked: string[] = [];
    page.on('request', (request) => asked.push(new URL(request.url()).pathname));
    await dashboard.open(page, `/org/${team}/audit?type=api_key.created`);
    await rows().filter({ hasText: 'created the test key The oldest key' }).waitFor();
    expect(asked.filter((path) => path.endsWith('/audit/names'))).toHaveLength(1);
    expect(asked.filter((path) => path.endsWith('/audit/events'))).toHaveLength(1);
    expect(asked.filter((path) => path.endsWith('/members'))).toEqual([]);
  });

  it('has every key in the filter: found by a part of its name, by itself, and told from its namesake', async () => {
    const field = await openFilters();
    await field.fill('oldest');
    await page.getByRole('option', { name: 'The oldest key' }).click();
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.getByText('Key: The oldest key').waitFor();
    await rows().filter({ hasText: 'created the test key The oldest key' }).waitFor();
    expect(new URL(page.url()).searchParams.get('key_id')).toBe(oldest.id);

    const sent: string[] = [];
    page.on('request', (request) => sent.push(request.url()));
    const again = await openFilters();
    await again.fill(oldest.key);
    await page.getByRole('option', { name: 'The oldest key' }).waitFor();
    expect(sent.filter((url) => url.includes(oldest.key.slice(-20)))).toEqual([]);
    await again.fill('twin');
    await page
      .getByRole('option', { name: /^Twin key_…\w{6}$/ })
      .nth(1)
      .waitFor();
    await expectAccessible(page);
    await expectCleanEnd(page);
  });
});
