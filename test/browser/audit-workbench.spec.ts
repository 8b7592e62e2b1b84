import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import type { Account } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { inChromium } from './in-chromium.js';
import { expectAccessible, expectCleanEnd, startDashboard, type Dashboard } from './dashboard.js';

inChromium('the audit log, read event by event', () => {
  let dashboard: Dashboard;
  let ada: Account;
  let team: string;
  let page: Page;

  beforeAll(async () => {
    dashboard = await startDashboard();
    ada = await dashboard.account();
    team = (await ada.client.organizations.create({ body: { name: 'Acme' } })).id;
    for (const name of ['First', 'Second', 'Third']) {
      const { id } = await ada.client.apiKeys.create({
        body: { name, organization_id: team, scopes: ['triggers:read'] },
      });
      await ada.client.apiKeys.disable({ params: { id } });
    }
    await allIngested(dashboard);
    page = await dashboard.signedIn(ada, `/org/${team}/audit?type=api_key.created`);
  });

  afterAll(() => dashboard?.stop());

  const drawer = () => page.getByRole('dialog', { name: /^Event/ });
  const button = (name: string) => drawer().getByRole('button', { name });
  const shown = (name: string) =>
    drawer()
      .getByRole('heading', { name: `created the test key ${name}` })
      .waitFor();

  it('goes to the newer and older event within the filters, and says where they end', async () => {
    await page.getByRole('link', { name: /created the test key Second/ }).click();
    await shown('Second');
    await button('Older event').click();
    await shown('First');
    await button('Older event').click();
    await drawer().getByText('No older event matches').waitFor();
    await expectAccessible(page);
    await button('Newer event').click();
    await shown('Second');
    await button('Newer event').click();
    await shown('Third');
    expect(new URL(page.url()).searchParams.get('type')).toBe('api_key.created');
    await button('Newer event').click();
    await drawer().getByText('No newer event matches').waitFor();
  });

  it('shows when something happened with the year and the time zone', async () => {
    const zone = await page.evaluate<string>(
      `new Intl.DateTimeFormat(undefined, { timeZoneName: 'short' }).formatToParts().find(({ type }) => type === 'timeZoneName').value`,
    );
    const words = await drawer().locator('dd time').first().innerText();
    expect(words).toContain(String(new Date().getFullYear()));
    expect(words).toContain(zone);
  });

  it('has ranges of calendar days, which stay in the address', async () => {
    await dashboard.open(page, `/org/${team}/audit?range=today`);
    await page.getByRole('link', { name: /created the test key Third/ }).waitFor();
    await page.getByRole('combobox', { name: 'Time' }).click();
    await page.getByRole('option', { name: 'Yesterday' }).click();
    await page.getByText('No event matches these filters').waitFor();
    await page.waitForURL(/range=yesterday/);
    await page.reload();
    await page.getByText('No event matches these filters').waitFor();
    expect(await page.getByRole('switch', { name: 'Live' }).isDisabled()).toBe(true);
    await expectCleanEnd(page);
  });
});
