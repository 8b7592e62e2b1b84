import { mkdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import { toUuid } from '#libs/contract/ids.js';
import type { Account } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { eventually } from '../support/eventually.js';
import { inChromium } from './in-chromium.js';
import {
  expectAccessible,
  expectNoComplaints,
  expectFitsNarrowly,
  moveTo,
  startDashboard,
  until,
  type Dashboard,
} from './dashboard.js';

const HOUR_MS = 3_600_000;

inChromium('a key that has ended', () => {
  let dashboard: Dashboard;
  let ada: Account;
  let team: string;
  let page: Page;
  let made = 0;

  beforeAll(async () => {
    dashboard = await startDashboard();
    ada = await dashboard.account();
    ({ id: team } = await ada.client.organizations.create({ body: { name: 'Engines' } }));
    page = await dashboard.signedIn(ada, list());
    await page.setViewportSize({ width: 1366, height: 900 });
    // A page that still loads could replace the address that the first test moves to.
    await page.getByRole('heading', { level: 1, name: 'API keys' }).waitFor();
  });

  afterAll(async () => {
    await dashboard?.stop();
  });

  const list = () => `/org/${team}/settings/api-keys`;
  const create = (client = ada.client, projectId?: string) => {
    made += 1;
    const body = { name: `Subject ${made}`, scopes: ['triggers:read'], expires_in_days: 1, organization_id: team };
    return client.apiKeys.create({ body: { ...body, ...(projectId && { project_id: projectId }) } });
  };
  /** Sets the expiry of the key to a time in the past. */
  const expire = (id: string, msAgo: number) =>
    dashboard.sql.query('UPDATE api_key SET expires_at = $2 WHERE id = $1', [toUuid(id), new Date(Date.now() - msAgo)]);

  type Key = Awaited<ReturnType<typeof create>>;
  /** The page of the last one of each status is checked for accessibility. */
  const ways: [string, () => Promise<Key>, 'expired' | 'revoked', RegExp][] = [
    [
      'expired',
      async () => {
        const key = await create();
        await expire(key.id, 2 * HOUR_MS);
        return key;
      },
      'expired',
      /^It expired on .+\d{4}.*\d:\d\d.*\.$/,
    ],
    [
      'expired while it was disabled',
      async () => {
        const key = await create();
        await ada.client.apiKeys.disable({ params: { id: key.id } });
        await expire(key.id, HOUR_MS);
        return key;
      },
      'expired',
      /^It expired on .+\.$/,
    ],
    [
      'was revoked by a member',
      async () => {
        const key = await create();
        await ada.client.apiKeys.revoke({ params: { id: key.id } });
        return key;
      },
      'revoked',
      /^It was revoked on .+\d{4}.*\d:\d\d.* by Ada Lovelace\.$/,
    ],
    [
      'was revoked after its expiry',
      async () => {
        const key = await create();
        await expire(key.id, HOUR_MS);
        await ada.client.apiKeys.revoke({ params: { id: key.id } });
        return key;
      },
      'revoked',
      /^It expired on .+, and was revoked on .+\.$/,
    ],
    [
      'was revoked because its project was deleted',
      async () => {
        const { id } = await ada.client.projects.create({ body: { name: 'Tills', organization_id: team } });
        const key = await create(ada.client, id);
        await ada.client.projects.delete({ params: { id }, query: { api_keys: 'revoke' } });
        return key;
      },
      'revoked',
      /^It was revoked on .+ because its project was deleted\.$/,
    ],
    [
      'was revoked because its creator was removed',
      async () => {
        const { token } = await ada.client.invitations.create({ params: { id: team }, body: { role: 'developer' } });
        const bob = await dashboard.account(token);
        const key = await create(bob.client);
        await ada.client.members.remove({
          params: { id: team, user_id: bob.userId },
          query: { revoke_keys: 'true' },
        });
        return key;
      },
      'revoked',
      /^It was revoked on .+ because the member who created it was removed\.$/,
    ],
    [
      'was revoked because it leaked',
      async () => {
        const key = await create();
        await reportLeak(key, 'revoke');
        return key;
      },
      'revoked',
      /^It was revoked on .+ because a secret of it was found in public\.$/,
    ],
  ];

  async function reportLeak({ key }: Key, policy: 'revoke' | 'report'): Promise<void> {
    await ada.client.organizations.update({ params: { id: team }, body: { leak_policy: policy } });
    const found = { source: 'gitleaks', url: 'https://example.com/config.env' };
    await dashboard.client().leakedKeys.report({ body: { tokens: [key], ...found } });
  }

  async function ended(end: () => Promise<Key>): Promise<Key> {
    const key = await end();
    // The worker records the event of each key after a mass revocation.
    const rows = () => dashboard.sql.query('SELECT FROM api_key_revocation');
    await eventually(rows, ({ rowCount }) => rowCount === 0);
    await allIngested(dashboard);
    return key;
  }

  describe.each(ways)('that %s', (_, end, status, sentence) => {
    let key: Key;

    beforeAll(async () => {
      key = await ended(end);
    });

    it('shows on its page why and when it ended, and offers only deletion', async () => {
      expect((await ada.client.apiKeys.get({ params: { id: key.id } })).status).toBe(status);
      await moveTo(page, `${list()}/${key.id}`);
      await page.getByRole('heading', { level: 1, name: key.name }).waitFor();
      const notice = page.getByRole('alert').filter({ hasText: `This key is ${status}` });
      await notice.getByText(sentence).waitFor();
      await page.getByRole('heading', { name: 'Final settings' }).waitFor();
      const main = page.getByRole('main');
      for (const offered of ['switch', 'textbox', 'combobox', 'checkbox'] as const)
        expect({ offered, count: await main.getByRole(offered).count() }).toEqual({ offered, count: 0 });
      for (const name of ['Rotate', 'Revoke', 'Save', 'Enable', 'Disable'])
        expect({ name, count: await main.getByRole('button', { name, exact: true }).count() }).toEqual({
          name,
          count: 0,
        });
      await main.getByRole('button', { name: 'Delete', exact: true }).waitFor();
      const text = await main.innerText();
      expect(text).not.toMatch(/current secret|older secret/i);
      expect(text).not.toMatch(/expires|in \d+ hours|tomorrow/i);
      expect(text).toContain('Ended');
      expect(text).toContain('just now by ');
      expect(text).toMatch(/Allowed IP addresses\s+every address/);
      await screenshots(key.name);
    });

    it('has its status in the list, no switch, and only allowed actions in its menu', async () => {
      await moveTo(page, `${list()}?search=${key.id}`);
      const row = page.getByRole('row').filter({ has: page.getByRole('link', { name: key.name, exact: true }) });
      await row.getByText(status, { exact: true }).waitFor();
      expect(await row.getByRole('switch').count()).toBe(0);
      expect(await row.innerText()).not.toMatch(/in \d+ hours|tomorrow/i);
      await page.getByRole('button', { name: `Actions for ${key.name}` }).click();
      await page.getByRole('menu').waitFor();
      expect(await page.getByRole('menuitem').allInnerTexts()).toEqual(['Copy public key', 'Copy id', 'Delete …']);
      await page.keyboard.press('Escape');
      expectNoComplaints(page);
    });
  });

  it.each(['expired', 'revoked'] as const)('that is %s is accessible on its page', async (status) => {
    const [, end, , sentence] = ways.findLast(([, , other]) => other === status)!;
    const key = await ended(end);
    await moveTo(page, `${list()}/${key.id}`);
    await page.getByRole('heading', { level: 1, name: key.name }).waitFor();
    await page.getByRole('alert').getByText(sentence).waitFor();
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    expectNoComplaints(page);
  });

  it('or still works although it leaked says who found it where, without a link, and what to do', async () => {
    const key = await create();
    await reportLeak(key, 'report');
    await moveTo(page, `${list()}/${key.id}`);
    const notice = page.getByRole('alert').filter({ hasText: 'found in public' });
    await notice.getByText(/^It was reported on .+ by gitleaks, with this address:$/).waitFor();
    await notice.getByText('https://example.com/config.env').waitFor();
    await notice.getByText(/^Rotate the key without a grace period/).waitFor();
    expect(await notice.getByRole('link').count()).toBe(0);
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await screenshots('leaked');
    await ada.client.apiKeys.rotate({ params: { id: key.id }, body: { grace_period_seconds: 0 } });
    await page.reload();
    await notice.getByText(/^The key was rotated since/).waitFor();
    expectNoComplaints(page);
  });

  it('is deleted from its page, and the dialog does not say that it still works', async () => {
    const key = await create();
    const name = 'Unbroken'.repeat(12);
    await ada.client.apiKeys.update({ params: { id: key.id }, body: { name } });
    await expire(key.id, HOUR_MS);
    await dashboard.open(page, `${list()}/${key.id}`);
    await page.getByRole('main').getByRole('button', { name: 'Delete', exact: true }).click();
    await page.getByText('The key is already expired.').waitFor();
    // The whole name can be read, to be typed.
    const toType = page.locator('label').getByText(name, { exact: true });
    await toType.waitFor();
    const [inner, outer] = [(await toType.boundingBox())!, (await page.getByRole('dialog').boundingBox())!];
    expect(inner.x + inner.width).toBeLessThan(outer.x + outer.width);
    await page.getByRole('textbox', { name: /to confirm/ }).fill(name);
    await page.getByRole('dialog').getByRole('button', { name: 'Delete key' }).click();
    await page.getByText(`${name} is deleted.`).waitFor();
    expectNoComplaints(page);
  });

  it('shows its end at once on a page that was already open', async () => {
    const key = await create();
    await dashboard.sql.query(`UPDATE api_key SET expires_at = now() + interval '4 seconds' WHERE id = $1`, [
      toUuid(key.id),
    ]);
    await dashboard.open(page, `${list()}/${key.id}`);
    await page.getByText('Current secret').waitFor();
    await page.getByRole('textbox', { name: 'Name', exact: true }).waitFor();
    // The page must not wait for its next poll, which comes after 15 seconds.
    await page.getByText('This key is expired').waitFor({ timeout: 12_000 });
    await until(async () => expect(await page.getByText('Current secret').count()).toBe(0));
    expect(await page.getByRole('textbox').count()).toBe(0);
    expectNoComplaints(page);
  });

  it('an active key has its form, its secrets and its buttons', async () => {
    const key = await create();
    await dashboard.open(page, `${list()}/${key.id}`);
    await page.getByText('Current secret').waitFor();
    for (const name of ['Rotate', 'Revoke', 'Delete']) await page.getByRole('button', { name, exact: true }).waitFor();
    await page.getByRole('switch', { name: 'Enabled' }).waitFor();
    await page.getByRole('textbox', { name: 'External id' }).waitFor();
    expect(await page.getByText('This key is').count()).toBe(0);
    expectNoComplaints(page);
  });

  it('an active key gets a name of 100 characters of any kind, and none is cut off without a word', async () => {
    const key = await create();
    await dashboard.open(page, `${list()}/${key.id}`);
    const rename = async (name: string) => {
      await page.getByRole('textbox', { name: 'Name', exact: true }).fill(name);
      await page.getByRole('button', { name: 'Save', exact: true }).click();
    };
    await rename('x'.repeat(101));
    await page.getByText('Name must have at most 100 characters').waitFor();
    await rename('🔑'.repeat(100));
    await page.getByRole('heading', { level: 1, name: '🔑'.repeat(100) }).waitFor();
    expectNoComplaints(page);
  });

  async function screenshots(name: string): Promise<void> {
    const folder = process.env['SCREENSHOTS'];
    if (!folder) return;
    await mkdir(folder, { recursive: true });
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of [1366, 390]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 900 });
        await page.screenshot({ path: `${folder}/${name}-${colorScheme}-${width}.png`, fullPage: true });
      }
    }
    await page.emulateMedia({ colorScheme: null });
    await page.setViewportSize({ width: 1366, height: 900 });
  }
});
