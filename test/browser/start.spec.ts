import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import type { Account } from '../support/deployment.js';
import {
  expectAccessible,
  expectCleanEnd,
  expectFitsNarrowly,
  moveTo,
  startDashboard,
  type Dashboard,
  until,
} from './dashboard.js';
import { inChromium } from './in-chromium.js';

inChromium('the first steps', () => {
  let dashboard: Dashboard;
  let ada: Account;

  beforeAll(async () => {
    dashboard = await startDashboard();
    ada = await dashboard.account();
  });

  afterAll(() => dashboard.stop());

  const step = (page: Page, name: string) => page.getByRole('region', { name, exact: true });
  const shown = (page: Page, name: string) => page.getByRole('region', { name, exact: true }).textContent();

  const leaveUncopied = async (page: Page) => {
    await moveTo(page, '/account');
    await page.getByRole('button', { name: 'Leave without copying' }).click();
    await page.getByRole('heading', { level: 1, name: 'Account' }).waitFor();
  };

  it('lead a newcomer from the home page to a verified request, and are ticked as the product sees them', async () => {
    const page = await dashboard.signedIn(ada, '/');
    await page.waitForURL(`**/org/${ada.organizationId}/start`);
    await page.getByRole('heading', { level: 1, name: 'Get started' }).waitFor();

    await page.getByRole('combobox', { name: 'Scope' }).click();
    await page.getByRole('option', { name: 'events:read' }).click();
    await step(page, 'Choose a scope of your API').getByText('Done').waitFor();
    await page.getByRole('button', { name: 'Create a test key' }).click();
    const line = (await shown(page, 'The line that sets API_KEY'))!;
    expect(line).toMatch(/^export API_KEY=sk_test_/);
    await step(page, 'Create a key').getByText('Done').waitFor();

    expect(await shown(page, 'The snippet for curl')).toContain(`${dashboard.url}/authz?scope=events:read`);
    const last = step(page, 'Send the first request');
    await last.getByText('Waiting for the first accepted request…').waitFor();
    await fetch(`${dashboard.url}/authz?scope=events:read`, { headers: { 'x-api-key': line.split('=')[1]! } });
    await last.getByText('Keyledger has verified and recorded a request of this organization.').waitFor();
    await last.getByText('Done', { exact: true }).waitFor();
    await expectAccessible(page);
    await expectFitsNarrowly(page);

    // From now on, the home page leads to the keys, also if it knew of none before.
    await moveTo(page, '/');
    const question = page.getByRole('dialog', { name: 'The secret key is not copied yet' });
    await question.getByRole('button', { name: 'Stay and copy it' }).click();
    expect(await shown(page, 'The line that sets API_KEY')).toBe(line);
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.getByRole('button', { name: 'Copy: The line that sets API_KEY' }).click();
    await page.getByText('Copied', { exact: true }).first().waitFor({ state: 'attached' });
    await moveTo(page, '/');
    await page.getByRole('heading', { level: 1, name: 'API keys' }).waitFor();
    await expectCleanEnd(page);
  });

  it('are open for a user without a key, also if others have sent requests', async () => {
    const { id, key } = await ada.client.apiKeys.create({ body: { name: 'Of another', scopes: ['events:read'] } });
    await fetch(`${dashboard.url}/authz?scope=events:read`, { headers: { 'x-api-key': key } });
    const { data } = await ada.client.apiKeys.list({ query: {} });
    for (const { id: other } of data) await ada.client.apiKeys.revoke({ params: { id: other } });
    expect(data.map((one) => one.id)).toContain(id);
    const page = await dashboard.signedIn(ada, `/org/${ada.organizationId}/start?scope=events:read`);
    const last = step(page, 'Send the first request');
    await last.getByText('Keyledger has verified and recorded a request of this organization.').waitFor();
    for (const name of ['Create a key', 'Connect your API', 'Send the first request'])
      expect(await step(page, name).getByText('Done', { exact: true }).count()).toBe(0);
    await expectCleanEnd(page);
  });

  it('ask for a service key where a service of one’s own asks, and put the choice into the address', async () => {
    const grace = await dashboard.account();
    const page = await dashboard.signedIn(grace, `/org/${grace.organizationId}/start`);
    const choose = (label: string) =>
      page.getByRole('radiogroup', { name: 'What asks Keyledger' }).getByText(label, { exact: true }).click();
    for (const label of ['Express', 'Fastify', 'NestJS', 'Python', 'Go', 'nginx', 'Caddy']) {
      await choose(label);
      await until(async () =>
        expect(await shown(page, `The snippet for ${label}`)).toContain(new URL(dashboard.url).host),
      );
    }
    await choose('Express');
    await page.waitForURL(/stack=express/);
    await page.getByRole('button', { name: 'Create a service key' }).click();
    await until(async () => expect(await shown(page, 'The line that sets KEYLEDGER_SERVICE_KEY')).toMatch(/=sk_test_/));
    const { data } = await grace.client.apiKeys.list({ query: {} });
    expect(data.map(({ scopes, expires_at: end }) => [scopes, end !== null])).toEqual([[['api-keys:verify'], true]]);
    await expectFitsNarrowly(page);
    const snippet = (await page.getByRole('region', { name: 'The snippet for Express' }).boundingBox())!;
    const copy = (await page.getByRole('button', { name: 'Copy: The snippet for Express' }).boundingBox())!;
    expect(snippet.x + snippet.width).toBeLessThanOrEqual(copy.x);
    await leaveUncopied(page);
    await expectCleanEnd(page);
  });

  it('let a new operator make an organization and a service key for every organization', async () => {
    const page = await dashboard.signedIn(await dashboard.operator(), '/');
    await page.getByRole('button', { name: 'Create an organization', exact: true }).click();
    await page.getByRole('textbox', { name: 'Name' }).fill('Acme');
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    await page.getByText('You are in your personal organization').waitFor({ state: 'detached' });
    await page.getByRole('radiogroup', { name: 'What asks Keyledger' }).getByText('Go', { exact: true }).click();
    await page.getByRole('button', { name: 'Create a service key' }).click();
    await page.getByRole('region', { name: 'The line that sets KEYLEDGER_SERVICE_KEY' }).waitFor();
    await leaveUncopied(page);
    await dashboard.open(page, '/operator/service-keys');
    await page.getByRole('table', { name: 'Service keys' }).getByText('First service').waitFor();
    await page.getByRole('link', { name: 'Create a key', exact: true }).click();
    await page.getByRole('dialog', { name: 'Create API key' }).waitFor();
    await expectCleanEnd(page);
  });
});
