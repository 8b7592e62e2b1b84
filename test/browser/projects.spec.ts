import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Account } from '../support/deployment.js';
import { inChromium } from './in-chromium.js';
import { expectAccessible, expectFitsNarrowly, expectCleanEnd, startDashboard, type Dashboard } from './dashboard.js';

let dashboard: Dashboard;
let ada: Account;

inChromium('projects in the dashboard', () => {
  beforeAll(async () => {
    dashboard = await startDashboard();
    ada = await dashboard.account();
  });

  afterAll(() => dashboard.stop());

  it('are created, and searched with the search in the address', async () => {
    const id = await newOrganization();
    const page = await dashboard.signedIn(ada, `/org/${id}/projects`);
    await page.getByText('No projects yet').waitFor();
    await expectAccessible(page);
    for (const name of ['Checkout', 'Fleet']) {
      await page.getByRole('button', { name: 'Create project' }).click();
      await page.getByRole('dialog').getByLabel('Name').fill(name);
      await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
      await page.getByRole('row', { name: new RegExp(name) }).waitFor();
      await page.getByRole('dialog').waitFor({ state: 'detached' });
    }
    await page.getByRole('searchbox').fill('flee');
    await page.waitForURL(/search=flee/);
    await page.getByRole('row', { name: /Checkout/ }).waitFor({ state: 'detached' });
    await page.reload();
    await page.getByRole('row', { name: /Fleet/ }).waitFor();
    expect(await page.getByRole('searchbox').inputValue()).toBe('flee');
    await page.getByRole('searchbox').fill('nothing has this');
    await page.getByText('No project found').waitFor();
    await page.getByRole('button', { name: 'Clear the search' }).click();
    await page.getByRole('row', { name: /Checkout/ }).waitFor();
    await expectAccessible(page);
    await expectFitsNarrowly(page);

    await page.getByRole('link', { name: 'Fleet' }).click();
    await page.waitForURL(/\/projects\/proj_\w+\/api-keys$/);
    await expectCleanEnd(page);
  });

  it('are edited by two users at once without one overwriting the other unnoticed', async () => {
    const id = await newOrganization();
    const checkout = await ada.client.projects.create({ body: { name: 'Checkout', organization_id: id } });
    const page = await dashboard.signedIn(ada, `/org/${id}/projects`);
    await page.getByRole('button', { name: 'Actions for Checkout' }).click();
    await page.getByRole('menuitem', { name: 'Edit' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('Tills');
    await ada.client.projects.update({ params: { id: checkout.id }, body: { description: 'Of the shop' } });
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByText('Of the shop').waitFor();
    await expectAccessible(page);
    await dialog.getByRole('button', { name: 'Save my changes' }).click();
    await page.getByRole('row', { name: /Tills/ }).waitFor();
    await dialog.waitFor({ state: 'detached' });
    expect(await ada.client.projects.get({ params: { id: checkout.id } })).toMatchObject({ name: 'Tills' });
    await expectCleanEnd(page);
  });

  it('are deleted with their keys after a confirmation', async () => {
    const id = await newOrganization();
    const tills = await ada.client.projects.create({ body: { name: 'Tills', organization_id: id } });
    const page = await dashboard.signedIn(ada, `/org/${id}/projects`);
    const dialog = page.getByRole('dialog');
    const key = await ada.client.apiKeys.create({
      body: { name: 'Key', organization_id: id, project_id: tills.id, scopes: ['triggers:read'] },
    });
    await page.getByRole('button', { name: 'Actions for Tills' }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await dialog.getByLabel(/^Type/).fill('Tills');
    await dialog.getByLabel('Also revoke its key').waitFor();
    expect(await dialog.getByRole('button', { name: 'Delete the project' }).isDisabled()).toBe(true);
    await expectAccessible(page);
    await dialog.getByLabel('Also revoke its key').check();
    await dialog.getByRole('button', { name: 'Delete the project' }).click();
    await page.getByText('Tills is deleted, and its key is revoked.').waitFor();
    expect((await ada.client.apiKeys.get({ params: { id: key.id } })).status).toBe('revoked');
    await page.getByText('No projects yet').waitFor();
    await expectCleanEnd(page);
  });
});

async function newOrganization(): Promise<string> {
  return (await ada.client.organizations.create({ body: { name: 'Acme' } })).id;
}
