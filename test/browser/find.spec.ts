import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import type { Account } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { inChromium } from './in-chromium.js';
import { expectAccessible, expectCleanEnd, expectFitsNarrowly, startDashboard, type Dashboard } from './dashboard.js';

inChromium('the search for ids and keys', () => {
  let dashboard: Dashboard;
  let ada: Account;
  let team: string;
  let project: string;
  let key: { readonly id: string; readonly key: string; readonly public_key: string };
  let requestId: string;

  beforeAll(async () => {
    dashboard = await startDashboard();
    ada = await dashboard.account();
    team = (await ada.client.organizations.create({ body: { name: 'Acme' } })).id;
    project = (await ada.client.projects.create({ body: { name: 'Checkout', organization_id: team } })).id;
    key = await ada.client.apiKeys.create({
      body: { name: 'Production server', organization_id: team, scopes: ['triggers:read'] },
    });
    const path = `${dashboard.url}/api/v1/organizations/${team}`;
    requestId = (await fetch(path, { headers: { 'x-api-key': key.key } })).headers.get('x-request-id')!;
    await allIngested(dashboard);
  });

  afterAll(() => dashboard?.stop());

  const dialogOn = (page: Page) => page.getByRole('dialog', { name: 'Find' });
  const ask = async (page: Page, text: string) => {
    await dialogOn(page).getByRole('textbox').fill(text);
    await page.keyboard.press('Enter');
  };
  const find = async (page: Page, text: string) => {
    await page.getByRole('button', { name: 'Find' }).click();
    await ask(page, text);
  };

  it('leads from a pasted pair to its key, and sends and keeps no more of the secret than lists show', async () => {
    const page = await dashboard.signedIn(ada, '/account');
    const sent: string[] = [];
    page.on('request', (request) => sent.push(request.url(), request.postData() ?? ''));
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.keyboard.press('f');
    await ask(page, `${key.public_key}:${key.key}`);
    await dialogOn(page).getByRole('link', { name: 'Production server' }).waitFor();
    expect(await dialogOn(page).getByRole('textbox').inputValue()).toBe(key.public_key);
    await ask(page, key.key);
    await dialogOn(page).getByText('It begins like the current secret of the key.').waitFor();
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await dialogOn(page).getByRole('link', { name: 'Production server' }).click();
    await page.getByRole('heading', { level: 1, name: 'Production server' }).waitFor();
    expect(await dialogOn(page).count()).toBe(0);
    expect(sent.filter((text) => text.includes(key.key.slice(-26)))).toEqual([]);
    await expectCleanEnd(page);
  });

  it('leads from the id of a project, a user or a request to its page, and says if there is nothing', async () => {
    const page = await dashboard.signedIn(ada, '/account');
    await find(page, project);
    await dialogOn(page).getByRole('link', { name: 'Checkout' }).click();
    await page.getByRole('heading', { level: 1, name: 'API keys of Checkout' }).waitFor();
    await find(page, requestId);
    await dialogOn(page).getByRole('link', { name: 'api_key.denied' }).click();
    await page
      .getByRole('dialog', { name: /^Event/ })
      .getByText(requestId)
      .first()
      .waitFor();
    await page.keyboard.press('Escape');
    await find(page, 'key_01h455vb4pex5vsknk084sn02q');
    await dialogOn(page).getByText('Nothing found').waitFor();
    await dialogOn(page).getByText('To find a key by its name, search on the page API keys.').waitFor();
    await expectAccessible(page);
    await expectCleanEnd(page);
  });

  it('tells an operator whose key it is in any organization, with a link to its events', async () => {
    const page = await dashboard.signedIn(await dashboard.operator(), '/account');
    await find(page, key.key);
    await dialogOn(page).getByText('in Acme, seen as an operator').waitFor();
    await dialogOn(page).getByRole('link', { name: 'Production server' }).click();
    await page.getByText('You view Acme as an operator').waitFor();
    await page.getByText('Key: Production server').waitFor();
    await expectCleanEnd(page);
  });

  it('has the ids of keys, projects and members on their pages, to copy', async () => {
    const page = await dashboard.signedIn(ada, `/org/${team}/settings/api-keys/${key.id}`);
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    const copied = async (name: string) => {
      await page.getByRole('button', { name }).click();
      return page.evaluate<string>('navigator.clipboard.readText()');
    };
    await page.getByText(key.id, { exact: true }).waitFor();
    expect(await copied('Copy the id of the key')).toBe(key.id);
    await dashboard.open(page, `/org/${team}/projects/${project}/api-keys`);
    await page.getByText(project, { exact: true }).waitFor();
    expect(await copied('Copy the id of the project')).toBe(project);
    await dashboard.open(page, `/org/${team}/settings/members`);
    await page.getByText(ada.userId, { exact: true }).waitFor();
    expect(await copied('Copy the id of Ada Lovelace')).toBe(ada.userId);
    await expectCleanEnd(page);
  });
});
