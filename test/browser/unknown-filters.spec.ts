import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import type { Account } from '../support/deployment.js';
import {
  expectAccessible,
  expectCleanEnd,
  expectFitsNarrowly,
  expectNoComplaints,
  moveTo,
  startDashboard,
  type Dashboard,
} from './dashboard.js';
import { inChromium } from './in-chromium.js';

inChromium('an address with a filter that its page does not understand', () => {
  let dashboard: Dashboard;
  let operator: Account;
  let page: Page;
  let team: string;
  let ids: Record<string, string>;

  beforeAll(async () => {
    dashboard = await startDashboard();
    operator = await dashboard.operator();
    ({ id: team } = await operator.client.organizations.create({ body: { name: 'Acme' } }));
    const body = { name: 'Shop', organization_id: team };
    const project = await operator.client.projects.create({ body });
    const key = await operator.client.apiKeys.create({ body: { ...body, scopes: ['triggers:read'] } });
    ids = { $organizationId: team, $keyId: key.id, $projectId: project.id };
    page = await dashboard.signedIn(operator, `/org/${team}/settings/members`);
  });

  afterAll(async () => {
    await expectCleanEnd(page);
    await dashboard.stop();
  });

  const heading = (name: string | RegExp) => page.getByRole('heading', { level: 1, name });
  const notice = () => heading('Filter not understood').waitFor();

  /** Reads of data by the page, apart from what the navigation beside it shows. */
  async function readsDuring(work: () => Promise<void>): Promise<string[]> {
    const reads: string[] = [];
    const note = (request: { url(): string }) => {
      const { pathname } = new URL(request.url());
      if (/^\/api\/.*(events|api-keys|usage|projects|members|deployment|credits)/.test(pathname)) reads.push(pathname);
    };
    page.on('request', note);
    await work();
    page.off('request', note);
    return reads;
  }

  /** From the router: all pages that need a signed-in user. */
  async function pages(): Promise<string[]> {
    await heading('Members').waitFor();
    const paths = await page.evaluate<string[]>(`
      Object.values(__TSR_ROUTER__.routesById)
        .filter((route) => route.id.startsWith('/shell/') && !route.children)
        .map((route) => route.fullPath)`);
    expect(paths.length).toBeGreaterThan(13);
    return paths.map((path) => path.replaceAll(/\$\w+/g, (name) => ids[name]!));
  }

  it('shows no data on any page, names the filter, and has the page without it', async () => {
    for (const path of await pages()) {
      // A page without data, so that no read of the page before follows.
      await moveTo(page, '/account?settled=1');
      await page.getByText('settled=1').waitFor();
      const reads = await readsDuring(async () => {
        await moveTo(page, `${path}?unknown=1`);
        await notice();
        await page.getByText('unknown=1').waitFor();
      });
      expect([path, reads]).toEqual([path, []]);
      await page.getByRole('button', { name: 'Remove it and show the page' }).click();
      await heading(/^(?!Filter not understood)/).waitFor();
      expect(await page.evaluate('location.search')).toBe('');
    }
    expectNoComplaints(page);
  });

  it.each([
    ['audit', 'outcome=vlaid', 'outcome'],
    ['audit', 'Outcome=valid', 'Outcome'],
    ['audit', 'outcome[]=valid', 'outcome[]'],
    ['audit', 'outcome=valid&outcome=revoked', 'outcome'],
    ['audit', 'type=', 'type'],
    ['audit', 'ip=300.0.0.1', 'ip'],
    ['audit', 'key_id=key_1', 'key_id'],
    ['audit', 'not_key=key_1', 'not_key'],
    ['audit', 'range=2h', 'range'],
    ['audit', 'range=custom&from=yesterday', 'from'],
    ['audit', 'from=2026-01-01T00:00:00Z', 'from'],
    ['audit', 'range=24h&to=2026-01-01T00:00:00Z', 'to'],
    ['settings/api-keys', 'status=activ', 'status'],
    ['settings/api-keys', 'search=', 'search'],
    ['settings/api-keys', 'project=proj_1', 'project'],
    ['settings/api-keys', 'unused=yes', 'unused'],
    ['projects', 'serach=shop', 'serach'],
    ['usage', 'group=endpiont', 'group'],
    ['usage', 'from=2026-01-01', 'from'],
    ['usage', 'project_id=all', 'project_id'],
    ['usage', 'period=1y', 'period'],
    ['settings/members', 'role=owner', 'role'],
    ['../../operator/organizations', 'status=suspend', 'status'],
    ['../../operator/operators', 'search=ada', 'search'],
    ['../../operator/audit', 'ip=192.0.2.1&request_id=abcdefgh', 'request_id'],
  ])('shows nothing at %s?%s', async (place, query, name) => {
    await moveTo(page, '/account?settled=1');
    await page.getByText('settled=1').waitFor();
    const reads = await readsDuring(async () => {
      await moveTo(page, new URL(`/org/${team}/${place}?${query}`, dashboard.url).href.slice(dashboard.url.length));
      await notice();
    });
    expect(reads).toEqual([]);
    expect(await page.getByRole('alert').getByRole('listitem').allTextContents()).toEqual([
      expect.stringMatching(new RegExp(`^${name.replace('[]', '\\[\\]')}=`)),
    ]);
  });

  it('names all of them, keeps the others, and shows no secret from a mistyped link', async () => {
    const { key } = await operator.client.apiKeys.create({ body: { name: 'Pasted', scopes: ['triggers:read'] } });
    await moveTo(page, `/org/${team}/audit?outcome=valid&rnage=24h&serach=${key}`);
    await notice();
    expect(await page.getByRole('main').textContent()).not.toContain(key.slice(0, 20));
    await page.getByText('serach=sk_').waitFor();
    await expectAccessible(page);
    await expectFitsNarrowly(page);
    await page.getByRole('button', { name: 'Remove them and show the page' }).click();
    await heading('Audit log').waitFor();
    expect(await page.evaluate('location.search')).toBe('?outcome=valid');
    expectNoComplaints(page);
  });

  it('is not refused for a value that is written in another way', async () => {
    for (const [path, title] of [
      ['usage?surface=application&group=none', 'Usage & credits'],
      ['settings/api-keys?search=42', 'API keys'],
      ['projects?search=true', 'Projects'],
      ['audit?range=custom&from=2026-01-01T00:00:00Z', 'Audit log'],
    ]) {
      await moveTo(page, `/org/${team}/${path}`);
      await heading(title!).waitFor();
      expect(await page.getByRole('alert').count()).toBe(0);
    }
  });
});
