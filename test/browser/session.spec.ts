import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import { newOperatorLink } from '../../apps/cli/operator-link.js';
import type { Account } from '../support/deployment.js';
import { inChromium } from './in-chromium.js';
import {
  expectAccessible,
  expectFitsNarrowly,
  expectNoComplaints,
  expectCleanEnd,
  signIn,
  startDashboard,
  type Dashboard,
  until,
} from './dashboard.js';

const newPassword = () => `quiet ${randomBytes(9).toString('base64url')} harbour`;
const newPerson = () => ({ name: 'Grace Hopper', email: `${randomUUID()}@example.com`, password: newPassword() });

inChromium('the session in a browser', () => {
  let dashboard: Dashboard;
  let ada: Account;

  beforeAll(async () => {
    dashboard = await startDashboard();
    ada = await dashboard.account();
  });

  afterAll(async () => {
    await dashboard?.stop();
  });

  const heading = (page: Page, name: string | RegExp) => page.getByRole('heading', { level: 1, name }).waitFor();
  const register = async (page: Page, { name, email, password }: ReturnType<typeof newPerson>) => {
    await page.getByLabel('Name').fill(name);
    await page.getByRole('textbox', { name: 'Email' }).fill(email);
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.getByRole('button', { name: 'Create account' }).click();
  };
  const keysOf = (organizationId: string) => `/org/${organizationId}/settings/api-keys`;

  it('begins with a registration, and leads to the first steps in the personal organization', async () => {
    const page = await dashboard.visit('/');
    await heading(page, 'Sign in');
    await page.getByRole('link', { name: 'Create one' }).click();
    await heading(page, 'Create an account');
    await register(page, newPerson());
    await heading(page, 'Get started');
    await page.waitForURL((url) => /^\/org\/org_\w+\/start$/.test(url.pathname));
    await until(async () => expect(await page.title()).toBe('Get started · Keyledger'));
    await expectCleanEnd(page);
  });

  it('shows a password error at the field', async () => {
    const page = await dashboard.visit('/register');
    await register(page, { ...newPerson(), password: 'password1234' });
    const reason = page.getByText(/is too easy to guess/);
    await reason.waitFor();
    const describedBy = await page.getByLabel('Password', { exact: true }).getAttribute('aria-describedby');
    expect(describedBy).toContain(await reason.getAttribute('id'));
    await expectCleanEnd(page);
  });

  it('is rejected with a wrong password, and begins on the requested page with the right one', async () => {
    const wanted = `${keysOf(ada.organizationId)}?status=active`;
    const page = await dashboard.visit(wanted);
    await signIn(page, { email: ada.email, password: 'not the right one' });
    await page.getByRole('alert').getByText('Email or password is wrong').first().waitFor();
    await signIn(page, ada);
    await heading(page, 'API keys');
    await page.waitForURL(wanted);
    await expectCleanEnd(page);
  });

  it('does not lead to other sites after signing in', async () => {
    const page = await dashboard.visit('/sign-in?next=//example.com/');
    await signIn(page, ada);
    await heading(page, 'Get started');
    await expectCleanEnd(page);
  });

  it('survives a reload, and ends in every tab at once', async () => {
    const page = await dashboard.signedIn(ada, '/account');
    const other = await page.context().newPage();
    await other.goto(keysOf(ada.organizationId));
    await heading(other, 'API keys');
    // A browser hardly ever paints a tab in the background.
    await page.bringToFront();
    await page.reload();
    await heading(page, 'Account');
    await page.getByRole('button', { name: /^Account of/ }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await heading(page, 'Sign in');
    await heading(other, 'Sign in');
    // Sign-in leads back to the pages that were open before.
    await signIn(page, ada);
    await heading(page, 'Account');
    await heading(other, 'API keys');
    expectNoComplaints(other);
    await other.close();
    await expectCleanEnd(page);
  });

  it('continues while two tabs refresh at once', async () => {
    const page = await dashboard.signedIn(ada, '/account');
    const other = await page.context().newPage();
    await Promise.all([page.goto('/account'), other.goto('/account')]);
    await Promise.all([heading(page, 'Account'), heading(other, 'Account')]);
    for (let round = 0; round < 2; round++) {
      const refreshed = [page, other].map((tab) => tab.waitForResponse(/auth\/refresh$/));
      // As after a sign-in in a third tab: both drop their access tokens.
      await page.evaluate("new BroadcastChannel('keyledger-session').postMessage(undefined)");
      expect((await Promise.all(refreshed)).map((response) => response.status())).toEqual([200, 200]);
      await Promise.all([heading(page, 'Account'), heading(other, 'Account')]);
    }
    expectNoComplaints(other);
    await other.close();
    await expectCleanEnd(page);
  });

  it('survives a restart of the server', async () => {
    const page = await dashboard.signedIn(ada, '/account');
    await heading(page, 'Account');
    await dashboard.restartApi();
    await page.getByRole('link', { name: 'API keys' }).click();
    await heading(page, 'API keys');
    await page.reload();
    await heading(page, 'API keys');
    await expectCleanEnd(page);
  });

  it('refreshes an expired access token unnoticed', async () => {
    const page = await dashboard.signedIn(ada, '/account');
    await heading(page, 'Account');
    dashboard.advance(11 * 60_000);
    try {
      const refreshed = page.waitForResponse(/auth\/refresh$/);
      await page.getByLabel('Current password').fill(ada.password);
      await page.getByLabel('New password').fill('password1234');
      await page.getByRole('button', { name: 'Change password' }).click();
      await page.getByText(/is too easy to guess/).waitFor();
      expect((await refreshed).status()).toBe(200);
    } finally {
      dashboard.advance(-11 * 60_000);
      // The clock was ahead at these attempts, so the next ones from this address would have to wait.
      await dashboard.sql.query('DELETE FROM login_delay');
    }
    await expectCleanEnd(page);
  });

  it('that was ended elsewhere leads to sign-in with a message', async () => {
    const bob = await dashboard.account();
    const page = await dashboard.signedIn(bob, '/account');
    await heading(page, 'Account');
    for (const { id } of (await bob.client.auth.listSessions()).data.filter(({ current }) => !current))
      await bob.client.auth.endSession({ params: { id } });
    await page.getByRole('link', { name: 'API keys' }).click();
    await page.reload();
    await heading(page, 'Sign in');
    await expectCleanEnd(page);
  });

  it('shows the sessions of the account, and ends one of them', async () => {
    const bob = await dashboard.account();
    const other = await dashboard.signedIn(bob, '/account');
    await heading(other, 'Account');
    const page = await dashboard.signedIn(bob, '/account');
    await heading(page, 'Account');
    const sessions = page.getByRole('listitem').filter({ hasText: 'Chrome' });
    await until(async () => expect(await sessions.count()).toBe(2));
    await sessions.getByRole('button', { name: 'End' }).click();
    await until(async () => expect(await sessions.count()).toBe(1));
    // The other browser notices the end of its session with its next call, and loses nothing that was typed.
    const password = newPassword();
    await other.getByLabel('Current password').fill(bob.password);
    await other.getByLabel('New password').fill(password);
    await other.getByRole('button', { name: 'Change password' }).click();
    const dialog = other.getByRole('dialog', { name: 'Your session has ended' });
    await dialog.getByRole('button', { name: 'Sign in' }).waitFor();
    await expectAccessible(other);
    await other.keyboard.press('Escape');
    await dialog.getByLabel('Password', { exact: true }).fill(bob.password);
    await dialog.getByRole('button', { name: 'Sign in' }).click();
    await dialog.waitFor({ state: 'detached' });
    expect(await other.getByLabel('New password').inputValue()).toBe(password);
    await expectCleanEnd(page);
    await expectCleanEnd(other);
  });

  it('changes the password, and shows an error if the current one is wrong', async () => {
    const bob = await dashboard.account();
    const password = newPassword();
    const page = await dashboard.signedIn(bob, '/account');
    const change = async (current: string) => {
      await page.getByLabel('Current password').fill(current);
      await page.getByLabel('New password').fill(password);
      await page.getByRole('button', { name: 'Change password' }).click();
    };
    await change('not the right one');
    await page.getByText('is wrong').waitFor();
    await change(bob.password);
    await page.getByText('Your password is changed').waitFor();
    await dashboard.client().auth.login({ body: { email: bob.email, password } });
    await expectCleanEnd(page);
  });

  it('changes the name of the user everywhere at once', async () => {
    const page = await dashboard.signedIn(await dashboard.account(), '/account');
    const name = page.getByLabel('Name', { exact: true });
    await name.fill('x'.repeat(101));
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Name must have at most 100 characters').waitFor();
    await name.fill('Ada King');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Your name is changed').waitFor();
    await page.getByRole('button', { name: 'Account of Ada King' }).waitFor();
    await page.reload();
    await until(async () => expect(await name.inputValue()).toBe('Ada King'));
    await expectCleanEnd(page);
  });

  it('begins with an invitation link for a user without an account', async () => {
    const { id } = await ada.client.organizations.create({ body: { name: 'Lighthouse' } });
    const { url, token } = await ada.client.invitations.create({ params: { id }, body: { role: 'developer' } });
    const page = await dashboard.visit(url);
    await heading(page, 'Join Lighthouse');
    expect(page.url()).not.toContain(token);
    await register(page, newPerson());
    await page.waitForURL((to) => to.pathname === keysOf(id));
    expect(await page.evaluate('JSON.stringify([history.state, localStorage, sessionStorage])')).not.toContain(token);
    await expectCleanEnd(page);
  });

  it('begins with an invitation link for a user with an account', async () => {
    const { id } = await ada.client.organizations.create({ body: { name: 'Lighthouse' } });
    const bob = await dashboard.account();
    const invite = () => ada.client.invitations.create({ params: { id }, body: { role: 'viewer', email: bob.email } });
    const page = await dashboard.visit((await invite()).url);
    await page.getByText('Sign in', { exact: true }).click();
    await signIn(page, bob);
    // A viewer sees no keys.
    await page.waitForURL((to) => to.pathname === `/org/${id}/projects`);
    await heading(page, 'Projects');
    // In another browser, home is the organization with colleagues, not the empty personal one.
    await page.evaluate('localStorage.clear()');
    await page.goto('/');
    await page.waitForURL((to) => to.pathname === `/org/${id}/projects`);
    await expectCleanEnd(page);
  });

  it('begins with the set-up link for the first operator', async () => {
    const { url } = await newOperatorLink(dashboard.database.apiUrl, dashboard.url, null);
    const page = await dashboard.visit(url);
    await heading(page, 'Become an operator');
    await expectAccessible(page);
    await register(page, newPerson());
    await heading(page, 'Get started');
    await page.getByRole('link', { name: 'Service keys' }).waitFor();
    await expectCleanEnd(page);
  });

  it('rejects a used link, and says what to do', async () => {
    const page = await dashboard.visit('/invitation#invite_of-nobody');
    await page.getByRole('alert').getByText('Ask the sender for a new one.').waitFor();
    await page.getByRole('link', { name: 'Sign in' }).click();
    await heading(page, 'Sign in');
    await expectCleanEnd(page);
  });

  it('tells someone who registers again to sign in', async () => {
    const page = await dashboard.visit('/register');
    await register(page, { ...newPerson(), email: ada.email });
    await page.getByRole('alert').getByText('Sign in with it.').waitFor();
    await expectCleanEnd(page);
  });

  it('begins again after a reset of the password', async () => {
    const bob = await dashboard.account();
    const operator = await dashboard.operator();
    const { url, token } = await operator.client.deployment.createPasswordReset({ body: { email: bob.email } });
    const password = newPassword();
    // Who has forgotten it finds on the sign-in page whom to ask.
    const page = await dashboard.visit('/sign-in');
    await page.getByRole('link', { name: 'Forgot password?' }).click();
    await page.getByText(/You need a link from an operator/).waitFor();
    await page.goto(url);
    await heading(page, 'Set a new password');
    expect(page.url()).not.toContain(token);
    await expectAccessible(page);
    await page.getByLabel('New password').fill(password);
    await page.getByRole('button', { name: 'Set password' }).click();
    await page.getByRole('link', { name: 'Sign in' }).click();
    await signIn(page, { email: bob.email, password });
    await heading(page, 'Get started');
    await expectCleanEnd(page);
  });

  it('leaves no secret where a script or the next user could find it', async () => {
    const page = await dashboard.signedIn(ada, '/account');
    await heading(page, 'Account');
    const [cookie] = await page.context().cookies(`${dashboard.url}/api/v1/auth/refresh`);
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict', path: '/api/v1/auth' });
    const found = await page.evaluate<string>(
      'JSON.stringify([document.cookie, location.href, history.state, { ...localStorage }, { ...sessionStorage }])',
    );
    expect(found).not.toMatch(/eyJ|rt_/);
    expect(found).not.toContain(cookie!.value);
    expect(found).not.toContain(ada.password);
    await expectCleanEnd(page);
  });

  it('continues while the server cannot be reached, and shows that', async () => {
    const page = await dashboard.signedIn(ada, '/account');
    await heading(page, 'Account');
    await page.context().setOffline(true);
    await page.getByLabel('Current password').fill(ada.password);
    await page.getByLabel('New password').fill(newPassword());
    await page.getByRole('button', { name: 'Change password' }).click();
    await page.getByText('Trying again.').waitFor();
    expect(new URL(page.url()).pathname).toBe('/account');
    // Its code cannot be loaded yet.
    await page.evaluate(`__TSR_ROUTER__.history.push('/org/${ada.organizationId}/integrity')`);
    await page.context().setOffline(false);
    await heading(page, 'Integrity');
    await page.getByText('Trying again.').waitFor({ state: 'detached', timeout: 20_000 });
    await page.getByRole('link', { name: 'API keys' }).click();
    await heading(page, 'API keys');
    await expectCleanEnd(page, /net::ERR_INTERNET_DISCONNECTED|Failed to load/);
  });

  describe('is accessible', () => {
    it('at an address that is not there', async () => {
      const page = await dashboard.visit('/nowhere');
      await heading(page, 'Page not found');
      await expectAccessible(page);
      await expectFitsNarrowly(page);
      await expectCleanEnd(page);
    });

    it('by keyboard only: a link past the menu, shortcuts, and focus on the heading after a change of the page', async () => {
      const page = await dashboard.signedIn(ada, '/account');
      await page.reload();
      await heading(page, 'Account');
      await page.getByRole('button', { name: /^Account of/ }).waitFor();
      await page.keyboard.press('Tab');
      expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to the content');
      await page.keyboard.press('Enter');
      await page.keyboard.press('g');
      await page.keyboard.press('k');
      await heading(page, 'API keys');
      await until(async () => expect(await page.evaluate('document.activeElement.textContent')).toBe('API keys'));
      await page.keyboard.press('?');
      await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
      await expectAccessible(page);
      await expectCleanEnd(page);
    });
  });
});
