import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import type { Role } from '#libs/contract/organizations.js';
import type { Account } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { inChromium } from './in-chromium.js';
import { expectAccessible, expectCleanEnd, expectFitsNarrowly, startDashboard, type Dashboard } from './dashboard.js';

inChromium('keys for members who may read them', () => {
  let dashboard: Dashboard;
  let ada: Account;
  let team: string;
  let project: string;

  beforeAll(async () => {
    dashboard = await startDashboard();
    ada = await dashboard.account();
    team = (await ada.client.organizations.create({ body: { name: 'Acme' } })).id;
    project = (await ada.client.projects.create({ body: { name: 'Checkout', organization_id: team } })).id;
    await newKey(ada, 'Production server', { project_id: project });
    await allIngested(dashboard);
  });

  afterAll(() => dashboard?.stop());

  const newKey = ({ client }: Account, name: string, body: object = {}) =>
    client.apiKeys.create({ body: { name, organization_id: team, scopes: ['triggers:read'], ...body } });

  const join = async (role: Role) => {
    const { token } = await ada.client.invitations.create({ params: { id: team }, body: { role } });
    return dashboard.account(token);
  };

  const expectNothingToChange = async (page: Page) => {
    for (const name of [/Create/, 'Rotate', 'Revoke', 'Delete', /^Save/])
      expect(await page.getByRole('button', { name }).count()).toBe(0);
    expect(await page.getByRole('switch').count()).toBe(0);
  };

  it('open to an auditor from the audit log: the key with its settings and history, and nothing to change', async () => {
    const page = await dashboard.signedIn(await join('auditor'), `/org/${team}/audit?type=api_key.created`);
    await page.getByRole('link', { name: /Ada Lovelace created the test key/ }).click();
    // The proof of the event moves the link while it loads.
    await page.getByRole('dialog').getByRole('link', { name: 'Production server' }).press('Enter');
    await page.getByRole('heading', { level: 1, name: 'Production server' }).waitFor();
    await page.getByRole('region', { name: 'Settings' }).getByText('triggers:read').waitFor();
    await page.getByRole('region', { name: 'Recent events' }).getByText('Created', { exact: true }).waitFor();
    await expectNothingToChange(page);
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await page.getByRole('main').getByRole('link', { name: 'Checkout' }).click();
    await page.getByRole('heading', { level: 1, name: 'API keys of Checkout' }).waitFor();
    await expectCleanEnd(page);
  });

  it('are listed for an auditor, whose menu only copies', async () => {
    const page = await dashboard.signedIn(await join('auditor'), `/org/${team}/settings/api-keys`);
    await page.getByRole('link', { name: 'Production server', exact: true }).waitFor();
    await expectNothingToChange(page);
    await page.getByRole('button', { name: 'Actions for Production server' }).click();
    await page.getByRole('menuitem').first().waitFor();
    expect(await page.getByRole('menuitem').allInnerTexts()).toEqual(['Copy public key', 'Copy id']);
    await page.keyboard.press('Escape');
    await page.keyboard.press('c');
    expect(await page.getByRole('dialog').count()).toBe(0);
    await expectCleanEnd(page);
  });

  it('show a developer the history of a key of their own, older events included', async () => {
    const developer = await join('developer');
    const { id } = await newKey(developer, 'Laptop');
    for (let n = 1; n <= 13; n++)
      await developer.client.apiKeys.update({ params: { id }, body: { description: `Version ${n}` } });
    await allIngested(dashboard);
    const page = await dashboard.signedIn(developer, `/org/${team}/settings/api-keys/${id}`);
    const history = page.getByRole('region', { name: 'Recent events' });
    await history.getByText('Changed: description').first().waitFor();
    expect(await history.getByText('Created', { exact: true }).count()).toBe(0);
    await history.getByRole('button', { name: 'Show older events' }).click();
    await history.getByText('Created', { exact: true }).waitFor();
    expect(await history.getByRole('link', { name: /audit log/ }).count()).toBe(0);
    await expectCleanEnd(page);
  });

  it('are hidden from a viewer, whom the page tells who sees them', async () => {
    const page = await dashboard.signedIn(await join('viewer'), `/org/${team}/settings/api-keys`);
    await page.getByText('Owners, admins, developers and auditors see API keys.').waitFor();
    await expectCleanEnd(page);
  });
});
