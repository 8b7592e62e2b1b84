import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Role } from '#libs/contract/organizations.js';
import type { Account } from '../support/deployment.js';
import { inChromium } from './in-chromium.js';
import {
  expectAccessible,
  expectFitsNarrowly,
  expectCleanEnd,
  startDashboard,
  type Dashboard,
  until,
} from './dashboard.js';

let dashboard: Dashboard;
let ada: Account;

inChromium('an organization in the dashboard', () => {
  beforeAll(async () => {
    dashboard = await startDashboard();
    ada = await dashboard.account();
  });

  afterAll(() => dashboard.stop());

  it('is created from the switcher, and the creator is its owner', async () => {
    // The page opens directly: `/` redirects and moves the focus, which closes a switcher that is already open.
    const page = await dashboard.signedIn(ada, `/org/${ada.organizationId}/settings/api-keys`);
    await page.getByRole('combobox', { name: 'Organization' }).click();
    await page.getByRole('option', { name: /Create an organization/ }).click();
    const dialog = page.getByRole('dialog');
    await expectAccessible(page);
    await dialog.getByLabel('Name').fill('Acme');
    await dialog.getByRole('button', { name: 'Create' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.waitForURL(/\/org\/org_\w+\/start$/);
    const switcher = page.getByRole('combobox', { name: 'Organization' });
    await until(async () => expect(await switcher.inputValue()).toBe('Acme'));
    await page.getByRole('link', { name: 'Members' }).click();
    await page
      .getByRole('row', { name: /Ada Lovelace/ })
      .getByText('You')
      .waitFor();
    await expectCleanEnd(page);
  });

  it('invites with a link that is shown once, and withdraws it', async () => {
    const id = await newOrganization();
    const page = await dashboard.signedIn(ada, `/org/${id}/settings/members`);
    await page.getByText('No open invitations. An unused link').waitFor();
    await page.getByRole('button', { name: 'Invite' }).click();
    const dialog = page.getByRole('dialog');
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await dialog.getByRole('radio', { name: 'Auditor' }).check();
    await dialog.getByRole('textbox', { name: 'Email' }).fill('not an address');
    await dialog.getByRole('textbox', { name: 'Email' }).fill('Grace@example.com');
    await dialog.getByRole('button', { name: 'Create the link' }).click();
    await dialog.getByText('Only the account of grace@example.com').waitFor();
    const link = await dialog.getByLabel('One-time link').innerText();
    expect(link).toMatch(new RegExp(`^${dashboard.url}/invitation#`));
    await expectAccessible(page);
    await dialog.getByRole('button', { name: 'Done' }).click();
    await dialog.waitFor({ state: 'detached' });
    const token = link.split('#')[1]!;
    expect(await page.content()).not.toContain(token);

    const row = page.getByRole('row', { name: /grace@example.com/ });
    await row.getByText('Auditor').waitFor();
    const { organization, role } = await dashboard.client().invitations.describe({ body: { token } });
    expect([organization?.id, role]).toEqual([id, 'auditor']);
    await row.getByRole('button', { name: 'Withdraw' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Withdraw' }).click();
    await row.waitFor({ state: 'detached' });
    await expect(dashboard.client().invitations.describe({ body: { token } })).rejects.toMatchObject({
      problem: { code: 'invalid_link' },
    });
    await expectCleanEnd(page);
  });

  it('changes roles up to the user’s own, and keeps the last owner', async () => {
    const id = await newOrganization();
    const admin = await member(id, 'admin');
    const developer = await member(id, 'developer');
    const asOwner = await dashboard.signedIn(ada, `/org/${id}/settings/members`);
    const own = asOwner.getByRole('row').filter({ hasText: ada.email });
    await own.getByRole('button', { name: /^Leave/ }).click();
    await asOwner.getByText('you are the only one').waitFor();
    await asOwner.getByRole('dialog').getByRole('button', { name: 'Close' }).last().click();
    expect(await own.getByRole('combobox').isDisabled()).toBe(true);

    const asAdmin = await dashboard.signedIn(admin, `/org/${id}/settings/members`);
    await asAdmin.getByRole('row').filter({ hasText: ada.email }).waitFor();
    expect(await asAdmin.getByRole('row').filter({ hasText: ada.email }).getByRole('combobox').count()).toBe(0);
    await asAdmin.getByRole('row').filter({ hasText: developer.email }).getByRole('combobox').click();
    expect(await asAdmin.getByRole('option', { name: /Owner/ }).count()).toBe(0);
    await asAdmin.getByRole('option', { name: /Auditor/ }).click();
    await asAdmin.getByText(/is now an auditor of/).waitFor();
    const { data } = await ada.client.members.list({ params: { id } });
    expect(data.find(({ user_id: userId }) => userId === developer.userId)?.role).toBe('auditor');

    await asAdmin.getByRole('row').filter({ hasText: admin.email }).getByRole('combobox').click();
    await asAdmin.getByRole('option', { name: /Viewer/ }).click();
    await asAdmin.getByRole('dialog').getByRole('button', { name: 'Change my role' }).click();
    await asAdmin.getByRole('button', { name: 'Invite' }).waitFor({ state: 'detached' });
    await asAdmin.getByRole('link', { name: 'API keys' }).waitFor({ state: 'detached' });
    await expectCleanEnd(asOwner);
    await expectCleanEnd(asAdmin);
  });

  it('removes a member, and also their keys if that is chosen', async () => {
    const id = await newOrganization();
    const [leaving, staying] = [await member(id, 'developer'), await member(id, 'developer')];
    const keys = await Promise.all(
      [leaving, staying].map(({ client }) =>
        client.apiKeys.create({ body: { name: 'Key', organization_id: id, scopes: ['triggers:read'] } }),
      ),
    );
    const page = await dashboard.signedIn(ada, `/org/${id}/settings/members`);
    const remove = async ({ email }: Account, keysToo: boolean) => {
      const row = page.getByRole('row').filter({ hasText: email });
      await row.getByRole('button', { name: /^Remove/ }).click();
      const dialog = page.getByRole('dialog');
      if (keysToo) {
        await dialog.getByRole('radio', { name: 'Revoke them' }).check();
        await expectAccessible(page);
      }
      await dialog.getByRole('button', { name: /^Remove/ }).click();
      await row.waitFor({ state: 'detached' });
    };
    await page.getByRole('row').filter({ hasText: staying.email }).waitFor();
    await remove(leaving, true);
    await remove(staying, false);
    const statuses = keys.map(
      async ({ id: keyId }) => (await ada.client.apiKeys.get({ params: { id: keyId } })).status,
    );
    expect(await Promise.all(statuses)).toEqual(['revoked', 'active']);
    await expectCleanEnd(page);
  });

  it('shows a viewer the data, and no action that they may not do', async () => {
    const id = await newOrganization();
    await ada.client.projects.create({ body: { name: 'Checkout', organization_id: id } });
    const page = await dashboard.signedIn(await member(id, 'viewer'), `/org/${id}/settings/members`);
    await page.getByRole('row').filter({ hasText: ada.email }).waitFor();
    expect(await page.getByRole('button', { name: /Invite|Remove/ }).count()).toBe(0);
    expect(await page.getByRole('link', { name: /API keys|Audit/ }).count()).toBe(0);
    await page.getByRole('link', { name: 'Projects' }).click();
    await page.getByText('Checkout').waitFor();
    expect(await page.getByRole('button', { name: /Create|Actions/ }).count()).toBe(0);
    await page.getByRole('link', { name: 'Settings' }).click();
    await page.getByText('Owners and admins can change it').waitFor();
    await expectAccessible(page);
    await expectCleanEnd(page);
  });

  it('tells a removed member and a non-member that they have no access, and offers other organizations', async () => {
    const id = await newOrganization();
    const grace = await member(id, 'admin');
    const page = await dashboard.signedIn(grace, `/org/${id}/projects`);
    await page.getByRole('button', { name: 'Create project' }).waitFor();
    await ada.client.members.remove({ params: { id, user_id: grace.userId } });
    await page.getByRole('button', { name: 'Create project' }).click();
    await page.getByRole('dialog').getByLabel('Name').fill('Too late');
    await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
    await page.getByRole('heading', { name: 'You are not a member of this organization' }).waitFor();
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await dashboard.open(page, `/org/${ada.organizationId}/settings`);
    await page.getByRole('heading', { name: 'You are not a member of this organization' }).waitFor();
    await page.getByRole('main').getByRole('link', { name: 'Ada Lovelace' }).click();
    await page.waitForURL(new RegExp(grace.organizationId));
    await expectCleanEnd(page);
  });

  it('can be left by a member', async () => {
    const id = await newOrganization();
    const grace = await member(id, 'viewer');
    const page = await dashboard.signedIn(grace, `/org/${id}/settings/members`);
    await page.getByRole('button', { name: /^Leave/ }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Leave' }).click();
    await page.waitForURL(new RegExp(grace.organizationId));
    expect((await grace.client.organizations.list()).total).toBe(1);
    await expectCleanEnd(page);
  });

  it('that is personal has one member, and offers to create one for a team', async () => {
    const page = await dashboard.signedIn(ada, `/org/${ada.organizationId}/settings/members`);
    await page.getByText('A personal organization has one member').waitFor();
    await page.getByRole('button', { name: 'Create an organization' }).click();
    await page.getByRole('dialog').getByLabel('Name').waitFor();
    await expectCleanEnd(page);
  });

  it('gets a key policy after a look at the keys that break it, and its rules are shown where keys are made', async () => {
    const id = await newOrganization();
    await ada.client.apiKeys.create({ body: { name: 'Open', organization_id: id, scopes: ['triggers:read'] } });
    const page = await dashboard.signedIn(ada, `/org/${id}/settings`);
    await page.getByRole('link', { name: 'Change the key policy' }).click();
    await page.getByRole('textbox', { name: 'Maximum lifetime in days' }).fill('60');
    await page.getByText('Only live').click();
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await page.getByRole('button', { name: 'Review and save' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('1 key would break this policy').waitFor();
    await dialog.getByText('must expire within 60 days').waitFor();
    await expectAccessible(page);
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    expect(await ada.client.keyPolicy.get({ params: { id } })).toMatchObject({
      max_lifetime_days: 60,
      environments: ['live'],
    });
    await page.getByRole('link', { name: 'Show 1 key' }).click();
    await page.getByRole('link', { name: 'Open' }).click();
    await page.getByText('by its lifetime and environment').waitFor();
    await page.getByText('A key must expire within 60 days of its creation.').waitFor();

    await dashboard.open(page, `/org/${id}/settings/api-keys?create=true`);
    await dialog.getByText('Its environment must be live.').waitFor();
    await until(async () => expect(await dialog.getByLabel('Expires').first().inputValue()).toBe('In 30 days'));
    await dialog.getByLabel('Name').fill('Second');
    await dialog.getByText('Test', { exact: true }).click();
    await dialog.getByRole('button', { name: 'Create' }).click();
    await dialog.getByText('By the key policy, the key must have the environment live').waitFor();
    await expectAccessible(page);
    expect((await ada.client.apiKeys.list({ query: { organization_id: id } })).total).toBe(1);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Discard' }).click();
    await expectCleanEnd(page);
  });

  it('is renamed, and two users at once do not overwrite each other unnoticed', async () => {
    const id = await newOrganization('Before');
    const page = await dashboard.signedIn(ada, `/org/${id}/settings`);
    const name = page.getByRole('textbox', { name: 'Name' });
    await name.fill('Mine');
    await ada.client.organizations.update({ params: { id }, body: { name: 'Theirs' } });
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Changed while you were editing').waitFor();
    await page.getByText('Theirs').waitFor();
    expect(await name.inputValue()).toBe('Mine');
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await page.getByRole('button', { name: 'Save my changes' }).click();
    await page.getByText('The name is changed.').waitFor();
    expect((await ada.client.organizations.get({ params: { id } })).name).toBe('Mine');
    const switcher = page.getByRole('combobox', { name: 'Organization' });
    await until(async () => expect(await switcher.inputValue()).toBe('Mine'));

    await ada.client.organizations.update({ params: { id }, body: { name: 'Theirs again' } });
    await name.fill('Mine again');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('button', { name: 'Use the current values' }).click();
    await until(async () => expect(await name.inputValue()).toBe('Theirs again'));
    expect(await page.getByRole('button', { name: 'Save' }).isDisabled()).toBe(true);
    await expectCleanEnd(page);
  });

  it('decides what happens to leaked keys', async () => {
    const { id } = await ada.client.organizations.create({ body: { name: 'Leaky' } });
    const page = await dashboard.signedIn(ada, `/org/${id}/settings`);
    await page.getByRole('radio', { name: 'Only report', exact: true }).check();
    await page.getByText('The policy for leaked keys is changed').waitFor();
    expect(await ada.client.organizations.get({ params: { id } })).toMatchObject({ leak_policy: 'report' });
    // The form of the name has the version after that.
    await page.getByRole('textbox', { name: 'Name' }).fill('Tight');
    await page.getByRole('button', { name: 'Save' }).click();
    const params = { id };
    await until(async () => expect((await ada.client.organizations.get({ params })).name).toBe('Tight'));
    await expectCleanEnd(page);
  });

  describe('has projects that', () => {
    it('are created, and searched with the search in the address', async () => {
      const id = await newOrganization();
      const page = await dashboard.signedIn(ada, `/org/${id}/projects`);
      await page.getByText('No projects yet').waitFor();
      await page.getByRole('button', { name: 'Create project' }).click();
      await page.getByRole('dialog').getByLabel('Name').fill('x'.repeat(101));
      await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
      await page.getByText('Name must have at most 100 characters').waitFor();
      await page.getByRole('dialog').getByLabel('Name').fill('');
      await page.keyboard.press('Escape');
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
});

async function newOrganization(name = 'Acme'): Promise<string> {
  return (await ada.client.organizations.create({ body: { name } })).id;
}

async function member(id: string, role: Role): Promise<Account> {
  const { token } = await ada.client.invitations.create({ params: { id }, body: { role } });
  return dashboard.account(token);
}
