import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import type { Account } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { inChromium } from './in-chromium.js';
import {
  expectAccessible,
  expectCleanEnd,
  expectFitsNarrowly,
  startDashboard,
  until,
  type Dashboard,
} from './dashboard.js';
import { holdResponses, recordTexts, seenTexts } from './seen-texts.js';

const WIDE = { width: 1600, height: 900 };
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
    await page.setViewportSize(WIDE);
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

  it('never says that there are no keys while there are some', async () => {
    const fresh = await dashboard.signedIn(ada, '/health/live');
    const found = (keys: string) => fresh.getByRole('status').getByText(keys, { exact: true }).waitFor();
    const expectNoneSaid = async () =>
      expect((await seenTexts(fresh)).filter((text) => /^0 keys$|^No API keys yet/.test(text))).toEqual([]);
    await recordTexts(fresh);
    await fresh.goto(`/org/${team}/settings/api-keys`);
    await found('3 keys');
    await fresh.getByRole('link', { name: 'Projects' }).click();
    await fresh.getByText('No projects yet').waitFor();
    await fresh.goBack();
    await found('3 keys');
    await expectNoneSaid();

    await fresh.goto(`/org/${team}/settings/api-keys?search=nothing`);
    await fresh.getByText('No keys found').waitFor();
    await fresh.getByRole('button', { name: 'Clear filters' }).last().click();
    await found('3 keys');
    await fresh.goBack();
    await fresh.getByText('No keys found').waitFor();
    await fresh.goForward();
    await found('3 keys');
    await expectNoneSaid();
    await fresh.context().close();
  });

  it('does not say that no key is found before it has searched', async () => {
    await dashboard.open(page, `/org/${team}/settings/api-keys?environment=live`);
    await page.getByText('No keys found').waitFor();
    const release = await holdResponses(page, /\/api-keys\?.*environment=test/);
    await choose('Environment', 'Test');
    await page.getByRole('status', { name: 'Loading' }).waitFor();
    expect(await page.getByText(/^No keys found|^0 keys found/).count()).toBe(0);
    await release();
    await page.getByText('3 keys found').waitFor();
    await dashboard.open(page, `/org/${team}/settings/api-keys`);
    await page.getByText('3 keys', { exact: true }).waitFor();
  });

  it('shows who is behind each key, and is sorted by expiry and uses', async () => {
    await page.getByRole('cell', { name: 'Ada Lovelace' }).first().waitFor();
    await page.getByRole('button', { name: 'Expires', exact: true }).click();
    await until(async () => expect(await keys()).toEqual(['Nightly', '=Reports', LONG_NAME]));
    await page.getByRole('button', { name: 'Expires', exact: true }).click();
    await until(async () => expect(await keys()).toEqual([LONG_NAME, '=Reports', 'Nightly']));
    await page.waitForURL(/sort=-expires_at/);
    await page.getByRole('button', { name: 'Uses' }).click();
    await page.waitForURL(/sort=-usage_count/);
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

  const select = (name: string) => page.getByRole('checkbox', { name: `Select ${name}` });
  const bar = () => page.getByRole('region', { name: 'Selected keys' });
  const dialog = () => page.getByRole('dialog');
  const statuses = async (...names: string[]) => {
    const { data } = await ada.client.apiKeys.list({ query: { organization_id: team } });
    return names.map((name) => data.find((key) => key.name === name)?.status);
  };

  it('shows how many keys are to be reviewed, and a click shows them', async () => {
    await dashboard.open(page, `/org/${team}/settings/api-keys`);
    const card = page.getByRole('button', { name: '1 never expires', exact: true });
    await card.click();
    await page.waitForURL(/status=active/);
    await until(async () => expect(await keys()).toEqual([LONG_NAME]));
    expect(await card.getAttribute('aria-pressed')).toBe('true');
    await page.getByRole('button', { name: '3 without a rate limit' }).click();
    await until(async () => expect((await keys()).length).toBe(3));
    expect(await page.getByRole('combobox', { name: 'Rate limit' }).inputValue()).toBe('No rate limit');
    await expectAccessible(page);
    await page.getByRole('button', { name: '3 without a rate limit' }).click();
    await page.waitForURL((url) => !url.search.includes('status'));
    expect(await page.getByRole('button', { name: '0 unused for 90 days' }).isDisabled()).toBe(true);
  });

  it('disables keys that the keyboard selected, after a preview of what used them', async () => {
    for (const name of ['Old 1', 'Old 2', 'Old 3', 'Old 4']) await newKey(name, { expires_in_days: 90 });
    const service = await newKey('Service', { scopes: ['api-keys:verify'], expires_in_days: 90 });
    const used = await newKey('In use', { expires_in_days: 90 });
    await dashboard.client({ apiKey: service.key }).apiKeys.verify({ body: { key: used.key } });
    await allIngested(dashboard);
    await dashboard.open(page, `/org/${team}/settings/api-keys?sort=name`);
    await select('In use').focus();
    await page.keyboard.press('Space');
    await bar().getByText('1 key selected').waitFor();
    await select('Old 1').click();
    await select('Old 4').click({ modifiers: ['Shift'] });
    await bar().getByText('5 keys selected').waitFor();
    await select('Old 2').click();
    await bar().getByText('4 keys selected').waitFor();
    await expectAccessible(page);
    await bar().getByRole('button', { name: 'Disable' }).click();
    await dialog().getByText('1 of them was used in the last day.').waitFor();
    const rows = await dialog().getByRole('row').allInnerTexts();
    expect(rows[1]).toMatch(/^In use\s+1\s/);
    expect(
      rows
        .slice(2)
        .map((row) => row.split(/\t/)[0]!.trim())
        .toSorted(),
    ).toEqual(['Old 1', 'Old 3', 'Old 4']);
    await expectAccessible(page);
    expect(await statuses('In use')).toEqual(['active']);
    await page.setViewportSize({ width: 390, height: 740 });
    await dialog().getByRole('button', { name: 'Disable 4 keys' }).click();
    await bar().waitFor({ state: 'detached' });
    const message = page.getByRole('alert').filter({ hasText: '4 keys are disabled.' });
    // A message stays while the pointer is over it.
    await message.hover();
    await select('Old 2').focus();
    await page.keyboard.press('Space');
    await bar().waitFor();
    const [above, below] = await Promise.all([message.boundingBox(), bar().boundingBox()]);
    expect(above!.y + above!.height).toBeLessThanOrEqual(below!.y);
    await select('Old 2').click();
    await page.setViewportSize(WIDE);
    expect(await statuses('In use', 'Old 1', 'Old 2', 'Old 3', 'Old 4')).toEqual([
      'disabled',
      'disabled',
      'active',
      'disabled',
      'disabled',
    ]);
  });

  it('revokes all keys that the filters find, once their number is typed, and not if they have changed', async () => {
    await dashboard.open(page, `/org/${team}/settings/api-keys?search=Old`);
    await page.getByText('4 keys found').waitFor();
    await page.getByRole('checkbox', { name: 'Select the keys in the list' }).click();
    await bar().getByText('4 keys selected').waitFor();
    await bar().getByRole('button', { name: 'Revoke' }).click();
    const confirm = dialog().getByRole('button', { name: 'Revoke 4 keys' });
    const typed = dialog().getByRole('textbox');
    await typed.fill('revoke 4 keys');
    const { data } = await ada.client.apiKeys.list({ query: { organization_id: team, search: 'Old 1' } });
    await ada.client.apiKeys.revoke({ params: { id: data[0]!.id } });
    await confirm.click();
    await dialog().getByText('The preview is no longer current').waitFor();
    expect(await statuses('Old 2')).toEqual(['active']);
    await dialog().getByRole('button', { name: 'Preview again' }).click();
    await dialog().getByText('1 key of the selection will stay as it is.').waitFor();
    await typed.fill('revoke 3 keys');
    await page.keyboard.press('Enter');
    await page.getByText('3 keys are revoked.').waitFor();
    expect(await statuses('Old 2', 'Old 3', 'Old 4', 'In use')).toEqual(['revoked', 'revoked', 'revoked', 'disabled']);
    await dialog().waitFor({ state: 'detached' });
  });

  it('is sorted where it has no columns', async () => {
    await dashboard.open(page, `/org/${team}/settings/api-keys`);
    await page.setViewportSize({ width: 900, height: 900 });
    await choose('Sort by', 'Expires next');
    await until(async () => expect((await keys()).slice(0, 2)).toEqual(['Nightly', '=Reports']));
    await page.getByText('Never used').first().waitFor();
    await select('Nightly').click();
    await bar().getByText('1 key selected').waitFor();
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await expectCleanEnd(page);
  });
});
