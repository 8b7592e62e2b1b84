import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import type { Account } from '../support/deployment.js';
import { inChromium } from './in-chromium.js';
import {
  expectAccessible,
  expectCleanEnd,
  expectFitsNarrowly,
  startDashboard,
  until,
  type Dashboard,
} from './dashboard.js';

const LONG_NAME = 'Production server 1';

inChromium('the list of keys', () => {
  let dashboard: Dashboard;
  let ada: Account;
  let team: string;
  let page: Page;

  beforeAll(async () => {
    dashboard = await startDashboard();
    ada = await dashboard.account();
    team = (await ada.client.organizations.create({ body: { name: 'Acme' } })).id;
    await newKey('Nightly', { expires_in_days: 5 });
    await newKey('=Reports', { expires_in_days: 60 });
    await newKey(LONG_NAME);
    page = await dashboard.signedIn(ada, `/org/${team}/settings/api-keys`);
    await page.setViewportSize({ width: 1600, height: 900 });
    await page.getByText('3 keys').waitFor();
  });

  afterAll(() => dashboard?.stop());

  const newKey = (name: string, body: object = {}) =>
    ada.client.apiKeys.create({ body: { name, organization_id: team, scopes: ['triggers:read'], ...body } });
  const keys = () => page.locator('.key-link').allInnerTexts();
  const choose = async (field: string, option: string) => {
    await page.getByRole('combobox', { name: field }).click();
    await page.getByRole('option', { name: option, exact: true }).click();
  };

  it('shows who is behind each key, and is sorted by expiry and uses', async () => {
    await page.getByRole('cell', { name: 'Ada Lovelace' }).first().waitFor();
    await page.getByRole('button', { name: 'Expires' }).click();
    await until(async () => expect(await keys()).toEqual(['Nightly', '=Reports', LONG_NAME]));
    await page.getByRole('button', { name: 'Expires' }).click();
    await until(async () => expect(await keys()).toEqual([LONG_NAME, '=Reports', 'Nightly']));
    await page.waitForURL(/sort=-expires_at/);
    await page.getByRole('button', { name: 'Uses' }).click();
    await page.waitForURL(/sort=-usage_count/);
    await expectAccessible(page);
  });

  it.each([1360, 1440, 1920])('shows the names of keys whole on a screen of %i px', async (width) => {
    await page.setViewportSize({ width, height: 900 });
    const name = page.getByRole('link', { name: LONG_NAME });
    await name.waitFor();
    expect(await name.evaluate((link) => link.scrollWidth - link.clientWidth)).toBe(0);
  });

  it('finds keys that expire soon, never, or were not used, and keeps this in the address', async () => {
    await choose('Expiry', 'Expires within 30 days');
    await page.getByText('1 key found').waitFor();
    expect(await keys()).toEqual(['Nightly']);
    await choose('Expiry', 'Never expires');
    await until(async () => expect(await keys()).toEqual([LONG_NAME]));
    await page.reload();
    await until(async () => expect(await keys()).toEqual([LONG_NAME]));
    await choose('Last use', 'Unused for 30 days');
    await page.getByText('No keys found').waitFor();
    await dashboard.open(page, `/org/${team}/settings/api-keys?expires=61`);
    await until(async () => expect((await keys()).toSorted()).toEqual(['=Reports', 'Nightly']));
    expect(await page.getByRole('combobox', { name: 'Expiry' }).inputValue()).toBe('Expires within 61 days');
  });

  it('exports what the filters find, without formulas for a spreadsheet', async () => {
    await page.evaluate('delete window.showSaveFilePicker');
    const started = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Export CSV' }).click();
    const lines = (await readFile(await (await started).path(), 'utf8')).trim().split('\r\n');
    expect(lines[0]).toMatch(/^id,name,/);
    expect(lines).toHaveLength(3);
    expect(lines.join('\n')).toContain(",'=Reports,");
    expect(lines.join('\n')).toContain(',Ada Lovelace,');
  });

  it('is sorted where it has no columns', async () => {
    await dashboard.open(page, `/org/${team}/settings/api-keys`);
    await page.setViewportSize({ width: 900, height: 900 });
    await choose('Sort by', 'Expires next');
    await until(async () => expect(await keys()).toEqual(['Nightly', '=Reports', LONG_NAME]));
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await expectCleanEnd(page);
  });
});
