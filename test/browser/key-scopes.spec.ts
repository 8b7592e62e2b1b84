import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Locator, Page } from 'playwright-core';
import type { Account } from '../support/deployment.js';
import { inChromium } from './in-chromium.js';
import {
  expectAccessible,
  expectFitsNarrowly,
  expectNoComplaints,
  startDashboard,
  until,
  type Dashboard,
} from './dashboard.js';

/** With the built-in scopes, more than a key can have. */
const SHOP = Array.from({ length: 98 }, (_, part) => `shop:part-${part}`);

inChromium('the form for a new key', () => {
  let dashboard: Dashboard;
  let ada: Account;
  let page: Page;

  beforeAll(async () => {
    dashboard = await startDashboard({ APP_SCOPES: ['orders:read', 'orders:write', ...SHOP].join(',') });
    ada = await dashboard.account();
    page = await dashboard.signedIn(ada, '/account');
  });

  beforeEach(() => dashboard.open(page, `/org/${ada.organizationId}/settings/api-keys`));

  afterAll(() => dashboard?.stop());

  const button = (name: string) => page.getByRole('button', { name, exact: true });
  const search = (text: string) => page.getByRole('searchbox', { name: 'Search the scopes' }).fill(text);
  const chosen = () => page.getByRole('dialog').locator('.mantine-Pill-label').allInnerTexts();
  const expectChosen = (scopes: readonly string[]) => until(async () => expect(await chosen()).toEqual(scopes));

  /** Whether the window shows it: a dialog may have to be scrolled. */
  const isInSight = async (text: Locator) => {
    const box = await text.boundingBox();
    return box !== null && box.y >= 0 && box.y + box.height <= page.viewportSize()!.height;
  };

  it('has one button that opens it, also on an empty list', async () => {
    await page.getByText('No API keys yet').waitFor();
    expect(await button('Create API key').count()).toBe(1);
    await button('Create API key').click();
    await page.getByRole('dialog', { name: 'Create API key' }).waitFor();
  });

  it('chooses and removes only the scopes that the search finds', async () => {
    await button('Create API key').click();
    await page.getByRole('checkbox', { name: 'shop:part-1', exact: true }).check();
    await search('orders');
    await button('Choose all found').click();
    await expectChosen(['shop:part-1', 'orders:read', 'orders:write']);
    await search('orders:write');
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await button('Remove all found').click();
    await expectChosen(['shop:part-1', 'orders:read']);
    await search('no such scope');
    expect(await button('Choose all found').isDisabled()).toBe(true);
    await search('');
    await button('Choose all').waitFor();
    await button('Cancel').click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expectNoComplaints(page);
  });

  it('says that a key has at most 100 scopes, before it asks the API for more', async () => {
    const sent: string[] = [];
    page.on('request', (request) => sent.push(`${request.method()} ${new URL(request.url()).pathname}`));
    const creations = () => sent.filter((request) => request === 'POST /api/v1/api-keys');
    await button('Create API key').click();
    await page.getByRole('textbox', { name: 'Name', exact: true }).fill('Everything');
    await search('shop');
    await button('Choose all found').click();
    await page.getByText('98 of at most 100 scopes are chosen.').waitFor();
    await search('');
    await button('Choose all').click();
    const problem = page.getByText(/^A key can have at most 100 scopes, and \d+ are chosen\. Remove \d+ of them/);
    await problem.waitFor();
    await button('Create').click();
    const field = page.getByRole('searchbox', { name: 'Search the scopes' });
    await until(async () => expect(await field.evaluate((input) => input.matches(':focus'))).toBe(true));
    await until(async () => expect(await isInSight(problem)).toBe(true));
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    expect(creations()).toEqual([]);
    await search('shop');
    await button('Remove all found').click();
    await problem.waitFor({ state: 'detached' });
    await button('Create').click();
    await page.getByText('The secret key is shown only once').waitFor();
    expect(creations()).toHaveLength(1);
    expectNoComplaints(page);
  });
});
