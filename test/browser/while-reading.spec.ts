import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import type { Account } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { inChromium } from './in-chromium.js';
import { expectNoComplaints, moveTo, startDashboard, type Dashboard } from './dashboard.js';
import { holdResponses } from './seen-texts.js';

inChromium('while it reads another search, the dashboard', () => {
  let dashboard: Dashboard;
  let operator: Account;
  let page: Page;
  let team: string;
  let idle: string;
  let keyId: string;

  beforeAll(async () => {
    dashboard = await startDashboard();
    operator = await dashboard.operator();
    const { client } = operator;
    team = (await client.organizations.create({ body: { name: 'Acme' } })).id;
    await client.projects.create({ body: { name: 'Shop', organization_id: team } });
    idle = (await client.projects.create({ body: { name: 'Idle', organization_id: team } })).id;
    const newKey = (name: string, scopes: string[]) =>
      client.apiKeys.create({ body: { name, organization_id: team, scopes } });
    const { id, key } = await newKey('Checkout', ['triggers:read']);
    const gateway = await newKey('Gateway', ['api-keys:verify']);
    keyId = id;
    await dashboard.client({ apiKey: gateway.key }).apiKeys.verify({
      body: { key, scopes: ['triggers:read'], request: { method: 'GET', path: '/orders' } },
    });
    await allIngested(dashboard);
    page = await dashboard.signedIn(operator, '/account');
  });

  afterAll(() => dashboard?.stop());

  const button = (name: string) => page.getByRole('button', { name, exact: true });
  const project = (name: string) => page.getByRole('table', { name: 'Projects' }).getByText(name, { exact: true });
  /** The page shows the text before this act, and not after it, although the responses do not come. */
  const expectUnsaid = async (text: string, responses: RegExp, act: () => Promise<void>) => {
    await page.getByText(text).first().waitFor();
    const release = await holdResponses(page, responses);
    await act();
    await page.getByText(text).first().waitFor({ state: 'detached' });
    await release();
  };

  it('does not say that there is no project, and shows none of another organization', async () => {
    await dashboard.open(page, `/org/${team}/projects?search=nothing`);
    await expectUnsaid('No project found', /\/projects\?/, () => button('Show all').click());
    await project('Shop').waitFor();
    const release = await holdResponses(page, /\/projects\?/);
    await moveTo(page, `/org/${operator.organizationId}/projects`);
    await project('Shop').waitFor({ state: 'detached' });
    await release();
    await page.getByText('No projects yet').waitFor();
    expectNoComplaints(page);
  });

  it('does not say that there is no organization', async () => {
    await dashboard.open(page, '/operator/organizations?search=nothing');
    await expectUnsaid('No organization found', /\/deployment\/organizations\?/, () => button('Show all').click());
    await page.getByRole('link', { name: 'Acme' }).waitFor();
    expectNoComplaints(page);
  });

  it('does not say that there are no events', async () => {
    await dashboard.open(page, `/org/${team}/audit?range=yesterday`);
    await page.getByText('No event matches these filters').waitFor();
    const release = await holdResponses(page, /\/audit\/events\?/);
    await button('Clear the filters').click();
    await page.getByRole('status', { name: 'Loading' }).waitFor();
    expect(await page.getByText(/^No events yet|^No event matches/).count()).toBe(0);
    await release();
    await page.getByText(/There are no older events\.$/).waitFor();
    expectNoComplaints(page);
  });

  it('does not say that no key was used, nor counts what another choice has', async () => {
    await dashboard.open(page, `/org/${team}/usage?project_id=${idle}`);
    await expectUnsaid('No key was used in this period', /\/usage\?/, () => moveTo(page, `/org/${team}/usage`));
    await page.getByRole('region', { name: 'Top endpoints' }).getByText('GET /orders').waitFor();
    await page.getByText('No denials.').waitFor();
    await page.getByRole('radiogroup', { name: 'Grouped by' }).getByText('Key', { exact: true }).click();
    await page.getByRole('figure', { name: /Checkout 1/ }).waitFor();
    await expectUnsaid('No denials.', /\/usage\?/, () => moveTo(page, `/org/${team}/usage?period=30d`));
    await page.getByText('No denials.').waitFor();

    await dashboard.open(page, `/org/${team}/settings/api-keys/${keyId}`);
    await expectUnsaid('1 accepted, 0 denied', /\/usage\?/, () => page.getByText('30 days', { exact: true }).click());
    await page.getByText('1 accepted, 0 denied').waitFor();
    expectNoComplaints(page);
  });

  it('says of a choice that it searches, before it says that nothing is found', async () => {
    const release = await holdResponses(page, /\/projects\?/);
    await dashboard.open(page, `/org/${team}/settings/api-keys?create=true`);
    const choices = page.getByRole('listbox', { name: 'Project' });
    await page.getByRole('dialog').getByRole('combobox', { name: 'Project' }).click();
    await choices.getByText('Searching …').waitFor();
    expect(await choices.getByText('No project found').count()).toBe(0);
    await release();
    await choices.getByRole('option', { name: 'Shop' }).waitFor();
    await page.getByRole('dialog').getByRole('combobox', { name: 'Project' }).fill('nothing');
    await choices.getByText('No project found').waitFor();
    expectNoComplaints(page);
  });
});
