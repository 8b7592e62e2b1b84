import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import type { Account } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { inChromium } from './in-chromium.js';
import { coveredButtons } from './layout.js';
import {
  expectAccessible,
  expectFitsNarrowly,
  expectNoComplaints,
  expectCleanEnd,
  moveTo,
  startDashboard,
  type Dashboard,
  until,
} from './dashboard.js';

let dashboard: Dashboard;
let operator: Account;
let ada: Account;
/** The operator's. */
let page: Page;

inChromium('an operator in the dashboard', () => {
  beforeAll(async () => {
    dashboard = await startDashboard();
    operator = await dashboard.operator();
    ada = await dashboard.account();
    page = await dashboard.signedIn(operator, '/account');
  });

  afterAll(() => dashboard.stop());

  it('finds an organization by its name or id, also with the search in the address', async () => {
    const id = await newOrganization('Northwind');
    await newOrganization('Globex');
    await moveTo(page, '/operator/organizations');
    await page.getByRole('link', { name: 'Globex' }).waitFor();
    await page.getByRole('searchbox').fill('northw');
    await page.getByRole('link', { name: 'Globex' }).waitFor({ state: 'detached' });
    await page.reload();
    await page.getByRole('link', { name: 'Northwind' }).waitFor();
    await page.getByRole('searchbox').fill(id);
    await page.waitForURL(new RegExp(id));
    await page.getByRole('link', { name: 'Northwind' }).waitFor();
    await page.getByText('Suspended', { exact: true }).click();
    await page.getByText('No organization found').waitFor();
    await page.getByRole('button', { name: 'Show all' }).click();
    await page.getByRole('link', { name: 'Globex' }).waitFor();
    expectNoComplaints(page);
  });

  it('finds the organizations whose audit log has a value, and goes on to their events', async () => {
    const id = await newOrganization('Initech');
    const { data } = await eventually(
      () => ada.client.audit.listEvents({ query: { organization_id: id } }),
      (events) => events.data.length > 0,
    );
    const request = String(data.at(-1)!.event.data['request_id']);
    await moveTo(page, '/operator/audit');
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    await page.getByText('Type a value').waitFor();
    await page.getByLabel('Value').fill('not an address');
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    await page.getByText('must be an address or a network').waitFor();
    await page.getByRole('combobox', { name: 'Look for' }).click();
    await page.getByRole('option', { name: 'Request id' }).click();
    await page.getByLabel('Value').fill(request);
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    await page.waitForURL(new RegExp(`request_id=${request}`));
    await page.getByRole('link', { name: 'Initech' }).waitFor();
    await page.reload();
    await page.getByRole('link', { name: 'Initech' }).click();
    await page.waitForURL(new RegExp(`/org/${id}/audit\\?request_id=${request}`));
    await page
      .getByRole('table', { name: 'Events' })
      .getByRole('link')
      .filter({ hasText: 'Initech' })
      .first()
      .waitFor();
    await page.goto(`${dashboard.url}/operator/audit?ip=198.51.100.1`);
    await page.getByText('No organization has an event with this value.').waitFor();
    expectNoComplaints(page);
  });

  it('sees on their pages that TRUST_PROXY does not name a gateway, and other users do not', async () => {
    const title = 'A proxy or gateway is not named in TRUST_PROXY';
    await moveTo(page, '/operator/organizations');
    await page.getByRole('heading', { level: 1, name: 'Organizations' }).waitFor();
    expect(await page.getByText(title).count()).toBe(0);
    await fetch(`${dashboard.url}/authz`, { headers: { 'x-forwarded-for': '203.0.113.7' } });
    await dashboard.open(page, '/operator/organizations');
    await page.getByText(title).waitFor();
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await dashboard.open(page, '/operator/operators');
    await page.getByText(title).waitFor();
    expectNoComplaints(page);
    const other = await dashboard.signedIn(ada, '/account');
    await other.getByRole('heading', { level: 1 }).waitFor();
    expect(await other.getByText(title).count()).toBe(0);
    await expectCleanEnd(other);
  });

  it('suspends an organization with a reason, which the members see, and resumes it', async () => {
    const id = await newOrganization('Initech');
    await moveTo(page, `/operator/organizations/${id}`);
    await page.getByRole('button', { name: 'Suspend…' }).click();
    const dialog = page.getByRole('dialog');
    await expectAccessible(page);
    await dialog.getByLabel('Reason').fill('Two invoices are unpaid');
    await dialog.getByLabel(/^Type/).fill('initech');
    expect(await dialog.getByRole('button', { name: 'Suspend' }).isDisabled()).toBe(true);
    await dialog.getByLabel(/^Type/).fill('Initech');
    await dialog.getByRole('button', { name: 'Suspend' }).click();
    await page.getByRole('button', { name: 'Resume…' }).waitFor();
    expect((await ada.client.organizations.get({ params: { id } })).status).toBe('suspended');

    await eventually(
      () => ada.client.audit.listEvents({ query: { organization_id: id, type: 'organization.suspended' } }),
      ({ data }) => data.length === 1,
    );
    const asOwner = await dashboard.signedIn(ada, `/org/${id}/settings`);
    await asOwner.getByText('Reason: Two invoices are unpaid.').waitFor();
    await expectAccessible(asOwner);
    await expectFitsNarrowly(asOwner);

    await page.getByRole('button', { name: 'Resume…' }).click();
    await dialog.getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('button', { name: 'Suspend…' }).waitFor();
    expect((await ada.client.organizations.get({ params: { id } })).status).toBe('active');
    await expectCleanEnd(asOwner);
    expectNoComplaints(page);
  });

  it('sets a scope ceiling, which the members see', async () => {
    const id = await newOrganization('Umbrella');
    await moveTo(page, `/operator/organizations/${id}`);
    await page.getByRole('button', { name: 'Change' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('radio', { name: 'Only these scopes' }).check();
    await dialog.getByText('keys of the organization have no scopes').waitFor();
    await dialog.getByRole('searchbox').fill('trigg');
    await dialog.getByRole('checkbox', { name: 'organizations:read' }).waitFor({ state: 'detached' });
    await dialog.getByRole('checkbox', { name: 'triggers:*' }).check();
    expect(await dialog.getByRole('checkbox', { name: 'triggers:write' }).isChecked()).toBe(true);
    expect(await dialog.getByRole('checkbox', { name: 'triggers:write' }).isDisabled()).toBe(true);
    const others = dialog.getByLabel('Other scopes');
    await others.fill('nonsense');
    await others.press('Enter');
    await dialog.getByText(/nonsense must be resource:action/).waitFor();
    expect(await dialog.getByRole('button', { name: 'Save' }).isDisabled()).toBe(true);
    await others.press('Backspace');
    await others.fill('*:read');
    await others.press('Enter');
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Read everything', { exact: true }).waitFor();
    const { scope_ceiling: ceiling } = await ada.client.organizations.get({ params: { id } });
    expect(ceiling).toEqual(['triggers:*', '*:read']);
    expectNoComplaints(page);
    const asOwner = await dashboard.signedIn(ada, `/org/${id}/settings`);
    await asOwner.getByText('All scopes of triggers').waitFor();
    await expectCleanEnd(asOwner);
  });

  it('sets a retention and a legal hold, which the owners see', async () => {
    const id = await newOrganization('Tyrell');
    await moveTo(page, `/operator/organizations/${id}`);
    await page.getByText('Events are kept forever.').waitFor();
    await page.getByRole('button', { name: 'Set the days…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Days').fill('7');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByText('must be a whole number of days from 30').waitFor();
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await dialog.getByLabel('Days').fill('400');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Events are kept for 400 days.').waitFor();
    await page.getByRole('button', { name: 'Legal hold…' }).click();
    await dialog.getByLabel('Reason').fill('Case 4711');
    await dialog.getByRole('button', { name: 'Place the hold' }).click();
    await page.getByText('nothing is removed: Case 4711').waitFor();
    const asOwner = await dashboard.signedIn(ada, `/org/${id}/settings`);
    await asOwner.getByText('Events are kept for 400 days.').waitFor();
    await asOwner.getByText('nothing is removed: Case 4711').waitFor();
    await expectCleanEnd(asOwner);
    await page.getByRole('button', { name: 'Lift the hold…' }).click();
    await dialog.getByRole('button', { name: 'Lift' }).click();
    await page.getByRole('button', { name: 'Legal hold…' }).waitFor();
    expect(await ada.client.audit.getRetention({ params: { id } })).toMatchObject({ days: 400, hold: null });
    expectNoComplaints(page);
  });

  it('grants credits and removes the balance', async () => {
    const id = await newOrganization('Hooli');
    await moveTo(page, `/operator/organizations/${id}`);
    await page.getByText('No balance: uses are not charged').waitFor();
    await page.getByText('Cost in credits').waitFor();
    await page.getByRole('button', { name: 'Grant' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('The organization has no balance yet').waitFor();
    await expectAccessible(page);
    await dialog.getByLabel('Amount').fill('50000');
    await dialog.getByLabel('Reason').fill('Annual plan');
    await dialog.getByLabel('Low-balance threshold').fill('100');
    await dialog.getByRole('button', { name: 'Grant' }).click();
    await page.getByText('50,000', { exact: true }).first().waitFor();
    await page.getByRole('row', { name: /\+50,000.*Annual plan/ }).waitFor();
    await page.getByText('left. Below 100 an event reports a low balance. At 0, requests').waitFor();
    expect(await ada.client.credits.get({ params: { id } })).toEqual({
      metered: true,
      balance: 50_000,
      low_below: 100,
    });
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Remove the balance…' }).click();
    await dialog.getByRole('button', { name: 'Remove the balance' }).click();
    await page.getByText('No balance: uses are not charged').waitFor();
    expect(await ada.client.credits.get({ params: { id } })).toMatchObject({ metered: false });
    expectNoComplaints(page);
  });

  it('has all buttons of a dialog while the message about the last action is still there', async () => {
    const id = await newOrganization('Aperture');
    await dashboard.open(page, `/operator/organizations/${id}`);
    await page.getByRole('button', { name: 'Grant' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Amount').fill('1');
    await dialog.getByLabel('Reason').fill('Trial');
    await dialog.getByRole('button', { name: 'Grant' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByText('left. At 0, requests').waitFor();
    const message = page.getByText(/^Granted 1 credit to Aperture/);
    // The message stays while the pointer is over it.
    await message.hover();
    await page.getByRole('button', { name: 'Grant' }).press('Enter');
    await dialog.waitFor();
    const usual = page.viewportSize()!;
    // In one of these, the dialog ends where the message is.
    for (let height = 440; height <= 800; height += 40) {
      for (const width of [390, 1280]) {
        await page.setViewportSize({ width, height });
        await message.waitFor();
        expect([width, height, await coveredButtons(page)]).toEqual([width, height, []]);
      }
    }
    await page.setViewportSize(usual);
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    expectNoComplaints(page);
  });

  it('sees a notice that reads are recorded, and only pages that they may open', async () => {
    const id = await newOrganization('Sirius');
    await moveTo(page, `/operator/organizations/${id}`);
    await page.getByText('is recorded in its audit log').waitFor();
    await page.getByRole('link', { name: 'View as operator' }).click();
    await page.getByText('You view Sirius as an operator').waitFor();
    const navigation = page.getByRole('navigation', { name: 'Main' }).getByRole('link');
    await until(async () =>
      expect(await navigation.allInnerTexts()).toEqual([
        'Projects',
        'Audit log',
        'Integrity',
        'Usage & credits',
        'Members',
        'Organizations',
        'Operators',
        'Service keys',
        'Search every audit log',
      ]),
    );
    const switcher = page.getByRole('combobox', { name: 'Organization' });
    await until(async () => expect(await switcher.inputValue()).toBe('Sirius'));
    await switcher.click();
    await page.getByText('As an operator', { exact: true }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('link', { name: 'Members' }).click();
    await page.getByRole('row').filter({ hasText: ada.email }).waitFor();
    expect(await page.getByRole('button', { name: /Invite|Remove|Leave/ }).count()).toBe(0);
    await expectAccessible(page);
    await until(async () => {
      const { data } = await ada.client.audit.listEvents({ query: { organization_id: id, type: 'operator.read' } });
      // Reads of the same second are one event, which lists them.
      const paths = data.flatMap(({ event: { data: read } }) => [
        read['path'],
        ...((read['reads'] as { path: string }[] | undefined) ?? []).map(({ path }) => path),
      ]);
      expect(paths).toContainEqual(expect.stringMatching(/\/members$/));
    });
    expectNoComplaints(page);
  });

  it('invites another operator and removes them; the last operator cannot be removed', async () => {
    await moveTo(page, '/operator/operators');
    await page.getByText('Last operator').waitFor();
    await page.getByRole('button', { name: 'Invite' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Create the link' }).click();
    const link = await dialog.getByLabel('One-time link').innerText();
    await expectAccessible(page);
    await dialog.getByRole('button', { name: 'Done' }).click();
    await dialog.waitFor({ state: 'detached' });
    const grace = await dashboard.account(link.split('#')[1]);
    const asGrace = await dashboard.signedIn(grace, '/operator/operators');
    const row = asGrace.getByRole('row').filter({ hasText: operator.email });
    await row.getByRole('button', { name: /^Remove/ }).waitFor();

    await dashboard.open(page, '/operator/operators');
    const other = page.getByRole('row').filter({ hasText: grace.email });
    await other.getByRole('button', { name: /^Remove/ }).click();
    await dialog.getByRole('button', { name: 'Remove' }).click();
    await other.waitFor({ state: 'detached' });
    // A removed operator learns of the removal from their next action.
    await asGrace.getByRole('button', { name: 'Invite' }).click();
    await asGrace.getByRole('dialog').getByRole('button', { name: 'Create the link' }).click();
    await asGrace.getByRole('heading', { name: 'Only for operators' }).waitFor();
    await expectAccessible(asGrace);
    await expectCleanEnd(asGrace);
    await page.getByRole('link', { name: 'Open the audit log' }).click();
    await page.getByText('the audit log of the deployment').waitFor();
    const switcher = page.getByRole('combobox', { name: 'Organization' });
    await until(async () => expect(await switcher.inputValue()).toBe('This deployment'));
    expectNoComplaints(page);
  });

  it('creates a link with which a user sets a new password', async () => {
    const grace = await dashboard.account();
    await moveTo(page, '/operator/operators');
    await page.getByRole('button', { name: 'Create a link' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Email of the account').fill('nobody@example.com');
    await dialog.getByRole('button', { name: 'Create the link' }).click();
    await dialog.getByRole('alert').waitFor();
    await dialog.getByLabel('Email of the account').fill(grace.email);
    await dialog.getByRole('button', { name: 'Create the link' }).click();
    const token = (await dialog.getByLabel('One-time link').innerText()).split('#')[1]!;
    await expectAccessible(page);
    await dialog.getByRole('button', { name: 'Done' }).click();
    await dialog.waitFor({ state: 'detached' });
    const password = 'two owls over the quiet barn';
    await dashboard.client().auth.resetPassword({ body: { token, new_password: password } });
    await dashboard.client().auth.login({ body: { email: grace.email, password } });
    expectNoComplaints(page);
  });

  it('sees the service keys and how to create one, and revokes one by its name', async () => {
    await moveTo(page, '/operator/service-keys');
    await page.getByText('No service keys yet').waitFor();
    await page.getByText('deployment:verify').waitFor();
    await expectAccessible(page);
    const { id } = await operator.client.organizations.create({ body: { name: 'The company' } });
    const key = await operator.client.apiKeys.create({
      body: { name: 'Gateway', organization_id: id, scopes: ['deployment:verify'] },
    });
    await dashboard.open(page, '/operator/service-keys');
    await page.getByRole('row', { name: /Gateway.*The company/ }).waitFor();
    await page.getByRole('button', { name: 'Revoke Gateway' }).click();
    await page.getByRole('dialog').getByLabel(/^Type/).fill('Gateway');
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke this key' }).click();
    await page.getByText('No service keys yet').waitFor();
    expect((await operator.client.apiKeys.get({ params: { id: key.id } })).status).toBe('revoked');
    expectNoComplaints(page);
  });

  it('is required for these pages: other users see that, and have no links to them', async () => {
    const other = await dashboard.signedIn(ada, '/operator/organizations');
    await other.getByRole('heading', { name: 'Only for operators' }).waitFor();
    expect(await other.getByRole('link', { name: /Operators|Service keys/ }).count()).toBe(0);
    await expectCleanEnd(other);
  });
});

async function newOrganization(name: string): Promise<string> {
  return (await ada.client.organizations.create({ body: { name } })).id;
}
