import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import { searchTermOf } from '#libs/api-key-format/search-term.js';
import type { Account } from '../support/deployment.js';
import { allIngested, event, put } from '../support/events.js';
import { inChromium } from './in-chromium.js';
import {
  expectAccessible,
  expectCleanEnd,
  expectFitsNarrowly,
  moveTo,
  startDashboard,
  until,
  type Dashboard,
} from './dashboard.js';

inChromium('the audit log, read event by event', () => {
  let dashboard: Dashboard;
  let ada: Account;
  let team: string;
  let secret: string;
  let page: Page;

  beforeAll(async () => {
    dashboard = await startDashboard();
    ada = await dashboard.account();
    team = (await ada.client.organizations.create({ body: { name: 'Acme' } })).id;
    for (const name of ['First', 'Second', 'Third']) {
      const { id, key } = await ada.client.apiKeys.create({
        body: { name, organization_id: team, scopes: ['triggers:read'] },
      });
      await ada.client.apiKeys.disable({ params: { id } });
      secret = key;
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
  });

  const rows = () => page.getByRole('table', { name: 'Events' }).locator('.event-link');
  const part = (name: string) => page.getByRole('region', { name, exact: true });

  it('finds events by a text, of which a pasted secret leaves only what lists show', async () => {
    await dashboard.open(page, `/org/${team}/audit`);
    const search = page.getByRole('searchbox', { name: 'Search the events' });
    await search.fill('SECOND');
    await page.waitForURL((url) => url.search === '?search=SECOND');
    await until(async () =>
      expect(await rows().allTextContents()).toEqual([
        expect.stringContaining('disabled the key Second'),
        expect.stringContaining('created the test key Second'),
      ]),
    );
    await search.fill(secret);
    await page.waitForURL((url) => url.searchParams.get('search') === searchTermOf(secret));
    await page.getByText('One event. There are no older events.').waitFor();
    await page.getByRole('button', { name: 'Clear the search' }).click();
    await page.getByRole('button', { name: 'Filters' }).click();
    await page.getByLabel('Client has the text').fill('no such client');
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.getByText('No event matches these filters').waitFor();
    await page.getByRole('button', { name: 'Client: leave these out' }).click();
    await page.waitForURL(/not_user_agent=no\+such\+client/);
    await rows().first().waitFor();
  });

  it('keeps filters under a name, and shows them again', async () => {
    await dashboard.open(page, `/org/${team}/audit?type=api_key.disabled&not_search=second`);
    await page.getByText('2 events. There are no older events.').waitFor();
    await page.getByRole('button', { name: 'Views' }).click();
    await page.getByLabel('Save these filters as').fill('Disabled keys');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await expectAccessible(page);
    await dashboard.open(page, `/org/${team}/audit?range=yesterday`);
    await page.getByRole('button', { name: 'Views' }).click();
    await page.getByRole('button', { name: 'Disabled keys', exact: true }).click();
    await page.getByText('2 events. There are no older events.').waitFor();
    await page.waitForURL((url) => url.search === '?type=api_key.disabled&not_search=second');
  });

  it('shows everything that a person did, and that came from an address, from each name and address', async () => {
    await dashboard.open(page, `/org/${team}/audit?event=1`);
    await drawer().getByRole('link', { name: 'All activity: Who' }).click();
    await page.getByRole('heading', { level: 1, name: 'Activity of Ada Lovelace' }).waitFor();
    await part('Counts').getByText('First seen').waitFor();
    const counts = part('Counts').getByRole('table', { name: 'Events by type' });
    await counts.getByRole('row', { name: 'api_key.disabled 3' }).waitFor();
    await counts.getByRole('row', { name: 'organization.created 1' }).waitFor();
    await until(async () => expect(await rows().count()).toBe(7));
    await counts.getByRole('button', { name: 'api_key.created' }).click();
    await page.waitForURL(/audit\/by\/user_\w+\?type=api_key\.created$/);
    await until(async () => expect(await rows().count()).toBe(3));
    await page.getByRole('link', { name: '127.0.0.1' }).first().click();
    await page.getByRole('heading', { level: 1, name: 'Activity from 127.0.0.1' }).waitFor();
    await page.waitForURL(/audit\/from\/127\.0\.0\.1$/);
    await counts.getByRole('row', { name: 'api_key.disabled 3' }).waitFor();
    await until(async () => expect(await rows().count()).toBe(7));
    await page.reload();
    await page.getByRole('heading', { level: 1, name: 'Activity from 127.0.0.1' }).waitFor();
    await moveTo(page, `/org/${team}/audit/from/203.0.113.0_24`);
    await page.getByRole('heading', { level: 1, name: 'Activity from 203.0.113.0/24' }).waitFor();
    await page.getByText('No events yet').waitFor();
  });

  it('is printed as a report: the query, who made it, the counts, the entries and the checkpoint', async () => {
    await dashboard.open(page, `/org/${team}/audit?type=api_key.*&not_type=api_key.disabled`);
    await page.getByRole('link', { name: 'Report' }).click();
    await page.getByText('Matching events: 3.').waitFor();
    await page.getByText('All entries of this report are among those that the checkpoint covers').waitFor();
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    const printed = await page.locator('body').innerText();
    const { checkpoint, epochs } = await ada.client.audit.integrity({ query: { organization_id: team } });
    for (const text of [
      'Type: api_key.*',
      'Type is not api_key.disabled',
      'From the oldest event until ',
      ada.email,
      'created the test key First',
      checkpoint!.root,
      epochs[0]!.keys[0]!.vkey,
    ])
      expect(printed).toContain(text);
    expect(printed).not.toMatch(/Print or save|Usage & credits|Back to the log/);
    const colour = await page.evaluate<string>(`getComputedStyle(document.querySelector('h1')).color`);
    expect(colour).toBe('rgb(0, 0, 0)');
    expect((await page.pdf({ format: 'A4' })).subarray(0, 5).toString()).toBe('%PDF-');
    await page.emulateMedia({ media: null, colorScheme: null });
    await expectCleanEnd(page);
  });

  it('is a report that fits a phone, also if an event counts many requests', async () => {
    const { id } = await ada.client.organizations.create({ body: { name: 'Busy' } });
    const subject = 'key_01h455vb4pex5vsknk084sn02q';
    const actor = { type: 'api_key', id: subject };
    const data = { actor, method: 'GET', path: '/orders', code: 'insufficient_scope', count: 1_234 };
    await put(dashboard, id, [
      event(id, { type: 'api_key.denied', subject, data }),
      event(id, { type: 'organization.key_policy_changed', subject: id }),
    ]);
    await allIngested(dashboard);
    const tab = await dashboard.signedIn(ada, `/org/${id}/audit/report`);
    await tab.getByRole('row', { name: 'api_key.denied: A scope is missing 1 1,234' }).waitFor();
    await expectFitsNarrowly(tab);
    await expectCleanEnd(tab);
  });

  it('is not open to a role that may not read it, in none of its forms', async () => {
    const { token } = await ada.client.invitations.create({ params: { id: team }, body: { role: 'developer' } });
    const developer = await dashboard.signedIn(await dashboard.account(token));
    for (const path of [`by/${ada.userId}`, `about/${ada.userId}`, 'from/127.0.0.1', 'report']) {
      await moveTo(developer, `/org/${team}/audit/${path}`);
      await developer.getByText('Your role cannot read the audit log').waitFor();
      // The page before may still be there, and it says the same.
      await until(async () => expect(await developer.getByText('api_key.created').count()).toBe(0));
    }
    await moveTo(developer, `/org/${team}/settings/members`);
    await developer.getByText(ada.userId).waitFor();
    expect(await developer.getByRole('link', { name: /^Activity of/ }).count()).toBe(0);
    await expectCleanEnd(developer);
  });
});
