import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import type { Account } from '../support/deployment.js';
import { inChromium } from './in-chromium.js';
import { expectCleanEnd, startDashboard, until, type Dashboard } from './dashboard.js';

inChromium('the search of the API keys', () => {
  let dashboard: Dashboard;
  let ada: Account;
  let page: Page;
  let key: Awaited<ReturnType<Account['client']['apiKeys']['create']>>;
  /** Every URL that the page requested or had, and the request bodies. */
  const addresses: string[] = [];

  beforeAll(async () => {
    dashboard = await startDashboard();
    ada = await dashboard.account();
    const create = (name: string) => ada.client.apiKeys.create({ body: { name, scopes: ['triggers:read'] } });
    key = await create('The one');
    await create('Another');
    page = await dashboard.signedIn(ada, `/org/${ada.organizationId}/settings/api-keys`);
    page.on('request', (request) => addresses.push(request.url(), request.postData() ?? ''));
    page.on('framenavigated', (frame) => addresses.push(frame.url()));
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.getByText('2 keys').waitFor();
  });

  afterAll(async () => {
    await dashboard?.stop();
  });

  const field = () => page.getByRole('searchbox');
  const paste = async (text: string) => {
    await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(text)})`);
    await field().click();
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Control+v');
  };
  const expectFound = async () => {
    await page.getByText('1 key found').waitFor();
    await page.getByRole('link', { name: 'The one', exact: true }).waitFor();
  };

  it('finds a key by any pasted part, and no secret gets into an address, a request or the history', async () => {
    const { id, public_key: publicKey, key: secret, prefix } = key;
    const [version] = (await ada.client.apiKeys.listSecrets({ params: { id } })).data;
    const pasted: [text: string, term: string][] = [
      [id, id],
      [version!.id, version!.id],
      [publicKey, publicKey],
      [`${publicKey}:${secret}`, publicKey],
      [secret, prefix],
      [
        `curl -H "X-API-Key: ${secret}" https://api.example.com/with/a/long/path?and=a&long=query#that-is-longer-than-a-field`,
        prefix,
      ],
      [`  ${prefix}…`, prefix],
      [secret.slice(0, -3), prefix],
    ];
    for (const [text, term] of pasted) {
      await paste('Another');
      await page.getByRole('link', { name: 'The one', exact: true }).waitFor({ state: 'detached' });
      await paste(text);
      await expectFound();
      expect(new URL(page.url()).searchParams.get('search')).toBe(term);
      expect(await field().inputValue()).not.toContain(secret.slice(-26));
    }
    expect(addresses.filter((address) => address.includes('search='))).not.toEqual([]);
    expect(addresses.filter((address) => address.includes(secret.slice(prefix.length, prefix.length + 7)))).toEqual([]);
  });

  it('removes a secret from an opened address', async () => {
    await page.goto(`/org/${ada.organizationId}/settings/api-keys?search=${key.key}`);
    await expectFound();
    await until(async () => expect(new URL(page.url()).searchParams.get('search')).toBe(key.prefix));
    expect(await field().inputValue()).toBe(key.prefix);
    await expectCleanEnd(page);
  });
});
