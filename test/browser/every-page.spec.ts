import { mkdir } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import type { Account } from '../support/deployment.js';
import { inChromium } from './in-chromium.js';
import { moveTo, startDashboard, until, type Dashboard } from './dashboard.js';
import { cutTexts, countShifts, shiftOf, sticksOut } from './layout.js';

const WIDTHS = (process.env['WIDTHS'] ?? '360,768,1100,1440,1920').split(',').map(Number);
const MOST_SHIFT = 0.05;
/** As long as the API allows, without a place to break. */
const LONG = 'Unbroken'.repeat(12);

/** How a German browser would write times and numbers. */
const GERMAN = /\bvor \d|(?<![:.\d])\d{1,3}(\.\d{3})+\b(?!\.)|\b(heute|gestern|Uhr|Mai|Okt|Dez)\b|\d \u00a0?%/;

interface World {
  readonly organizationId: string;
  readonly projectId: string;
  readonly keyId: string;
  readonly userId: string;
}

/** The addresses at which each route of the dashboard is looked at. */
const visits: Readonly<Record<string, (world: World) => readonly string[]>> = {
  '/': () => [],
  '/sign-in': () => ['/sign-in'],
  '/register': () => ['/register'],
  '/invitation': () => ['/invitation'],
  '/password-reset': () => ['/password-reset'],
  '/account': () => ['/account'],
  '/org/$organizationId': () => [],
  '/org/$organizationId/settings/api-keys': ({ organizationId: id }) => [`/org/${id}/settings/api-keys`],
  '/org/$organizationId/settings/api-keys/$keyId': ({ organizationId: id, keyId }) => [
    `/org/${id}/settings/api-keys/${keyId}`,
  ],
  '/org/$organizationId/projects': ({ organizationId: id }) => [`/org/${id}/projects`],
  '/org/$organizationId/projects/$projectId/api-keys': ({ organizationId: id, projectId }) => [
    `/org/${id}/projects/${projectId}/api-keys`,
  ],
  '/org/$organizationId/audit': ({ organizationId: id }) => [
    `/org/${id}/audit`,
    `/org/${id}/audit?event=3`,
    `/org/${DEPLOYMENT_ID}/audit`,
  ],
  '/org/$organizationId/audit/by/$id': ({ organizationId: id, userId }) => [`/org/${id}/audit/by/${userId}`],
  '/org/$organizationId/audit/about/$id': ({ organizationId: id, keyId }) => [`/org/${id}/audit/about/${keyId}`],
  '/org/$organizationId/audit/from/$address': ({ organizationId: id }) => [`/org/${id}/audit/from/127.0.0.1`],
  '/org/$organizationId/audit/report': ({ organizationId: id }) => [`/org/${id}/audit/report`],
  '/org/$organizationId/start': ({ organizationId: id }) => [`/org/${id}/start`],
  '/org/$organizationId/integrity': ({ organizationId: id }) => [`/org/${id}/integrity`],
  '/org/$organizationId/usage': ({ organizationId: id }) => [`/org/${id}/usage`],
  '/org/$organizationId/settings/key-policy': ({ organizationId: id }) => [`/org/${id}/settings/key-policy`],
  '/org/$organizationId/settings/members': ({ organizationId: id }) => [`/org/${id}/settings/members`],
  '/org/$organizationId/settings': ({ organizationId: id }) => [`/org/${id}/settings`],
  '/operator': () => [],
  '/operator/organizations': () => ['/operator/organizations'],
  '/operator/organizations/$organizationId': ({ organizationId: id }) => [`/operator/organizations/${id}`],
  '/operator/operators': () => ['/operator/operators'],
  '/operator/service-keys': () => ['/operator/service-keys'],
  '/operator/audit': ({ userId }) => ['/operator/audit', `/operator/audit?actor_user_id=${userId}`],
};

const withoutSession = ['/sign-in', '/register', '/invitation', '/password-reset'];

inChromium('every page', () => {
  let dashboard: Dashboard;
  let world: World;
  let page: Page;
  let outside: Page;

  beforeAll(async () => {
    // Dates, times and numbers must be in the language of the texts around them, not in that of the browser.
    dashboard = await startDashboard({}, 'de-DE');
    const operator = await dashboard.operator();
    world = await newWorld(dashboard, operator);
    page = await dashboard.signedIn(operator, '/account');
    outside = await dashboard.visit('/sign-in');
    await page.getByRole('heading', { level: 1 }).waitFor();
  });

  afterAll(() => dashboard?.stop());

  it('is one of the routes that are looked at', async () => {
    const routes = await page.evaluate<string[]>('Object.keys(__TSR_ROUTER__.routesByPath)');
    expect(routes.toSorted()).toEqual(Object.keys(visits).toSorted());
  });

  it.each(Object.entries(visits))(
    'at %s fits any screen, is read whole and stays in its place',
    async (route, paths) => {
      const tab = withoutSession.includes(route) ? outside : page;
      const faults: string[] = [];
      for (const path of paths(world)) {
        await tab.setViewportSize({ width: 1440, height: 900 });
        await countShifts(tab);
        await (tab === outside ? moveTo(tab, path) : dashboard.open(tab, path));
        await settled(tab);
        const { sum, what } = await shiftOf(tab);
        const german = GERMAN.exec(await tab.locator('body').innerText());
        if (german) faults.push(`${path} is not in English: ${german[0]}`);
        if (sum >= MOST_SHIFT) faults.push(`shifts by ${sum.toFixed(3)}`, ...what);
        for (const width of WIDTHS) {
          await tab.setViewportSize({ width, height: 900 });
          await tab.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))');
          await settled(tab);
          faults.push(...[...(await sticksOut(tab)), ...(await cutTexts(tab))].map((fault) => `${width} ${fault}`));
          await picture(tab, path, width);
        }
      }
      expect(faults).toEqual([]);
    },
  );
});

async function picture(page: Page, path: string, width: number) {
  const folder = process.env['PICTURES'];
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({
    path: `${folder}/${path.replaceAll(/[a-z]+_[a-z0-9]{26}/g, 'id').replaceAll(/\W+/g, '-')}.${width}.png`,
  });
}

async function settled(page: Page): Promise<void> {
  await page.locator('h1').first().waitFor();
  await until(async () =>
    expect(await page.locator('.mantine-Skeleton-root, .mantine-Loader-root, [aria-busy="true"]').count()).toBe(0),
  );
}

async function newWorld(dashboard: Dashboard, operator: Account): Promise<World> {
  const { client: own } = operator;
  const { id } = await own.organizations.create({ body: { name: LONG } });
  const { id: projectId } = await own.projects.create({
    body: { name: LONG, description: LONG.repeat(4), organization_id: id },
  });
  const key = await own.apiKeys.create({
    body: {
      name: LONG,
      description: LONG,
      organization_id: id,
      project_id: projectId,
      scopes: ['triggers:read', 'events:read'],
      allowed_domains: [`${LONG.slice(0, 60)}.example.com`],
      metadata: { [LONG.slice(0, 40)]: LONG },
    },
  });
  const short = await own.apiKeys.create({ body: { name: 'Short', organization_id: id, scopes: ['triggers:read'] } });
  await own.apiKeys.create({ body: { name: LONG, organization_id: id, scopes: ['deployment:verify'] } });
  await own.credits.grant({ params: { id }, body: { amount: 123_456_789, reason: LONG } });
  await own.invitations.create({
    params: { id },
    body: { role: 'developer', email: `${LONG.slice(0, 60)}@example.com` },
  });
  await dashboard.account((await own.invitations.create({ params: { id }, body: { role: 'developer' } })).token);
  const gateway = await own.apiKeys.create({
    body: { name: 'Gateway', organization_id: id, scopes: ['api-keys:verify'] },
  });
  for (const scopes of [['triggers:read'], ['triggers:write']])
    await dashboard.client({ apiKey: gateway.key }).apiKeys.verify({
      body: { key: short.key, scopes, request: { method: 'GET', path: `/${LONG}` } },
    });
  await own.apiKeys.rotate({ params: { id: key.id }, body: { grace_period_seconds: 3600 } });
  await own.apiKeys.update({ params: { id: short.id }, body: { description: `first line\n${LONG}\nthird line` } });
  await own.deployment.placeLegalHold({ params: { id }, body: { reason: LONG } });
  return { organizationId: id, projectId, keyId: key.id, userId: operator.userId };
}
