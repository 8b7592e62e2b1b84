import { mkdir } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import type { Account } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { inChromium } from './in-chromium.js';
import { expectAccessible, expectNoComplaints, painted, startDashboard, until, type Dashboard } from './dashboard.js';
import { keyboardFaults } from './keyboard.js';
import { contrastOf, cutTexts, shiftOf, sticksOut } from './layout.js';

/** The last one is that of the checks which need only one. */
const WIDTHS = (process.env['WIDTHS'] ?? '360,768,1100,1920,1440').split(',').map(Number);
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
  readonly invitationToken: string;
  readonly resetToken: string;
  /** Has no keys, projects or uses. */
  readonly emptyId: string;
}

/** A page of an organization with data, and of one without. */
const inBoth =
  (path: string) =>
  ({ organizationId, emptyId }: World) => [`/org/${organizationId}${path}`, `/org/${emptyId}${path}`];

/** The addresses at which each route of the dashboard is looked at: the first one in all ways. */
const visits: Readonly<Record<string, (world: World) => readonly string[]>> = {
  '/': () => [],
  '/sign-in': () => ['/sign-in'],
  '/register': () => ['/register'],
  '/invitation': ({ invitationToken }) => [`/invitation#${invitationToken}`, '/invitation'],
  '/password-reset': ({ resetToken }) => [`/password-reset#${resetToken}`, '/password-reset'],
  '/account': () => ['/account'],
  '/org/$organizationId': () => [],
  '/org/$organizationId/settings/api-keys': inBoth('/settings/api-keys'),
  '/org/$organizationId/settings/api-keys/$keyId': ({ organizationId: id, keyId }) => [
    `/org/${id}/settings/api-keys/${keyId}`,
  ],
  '/org/$organizationId/projects': inBoth('/projects'),
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
  '/org/$organizationId/usage': ({ organizationId: id, emptyId }) => [`/org/${id}/usage`, `/org/${emptyId}/usage`],
  '/org/$organizationId/settings/key-policy': ({ organizationId: id }) => [`/org/${id}/settings/key-policy`],
  '/org/$organizationId/settings/members': inBoth('/settings/members'),
  '/org/$organizationId/settings': ({ organizationId: id }) => [`/org/${id}/settings`],
  '/operator': () => [],
  '/operator/organizations': () => ['/operator/organizations'],
  '/operator/organizations/$organizationId': ({ organizationId: id }) => [`/operator/organizations/${id}`],
  '/operator/operators': () => ['/operator/operators'],
  '/operator/service-keys': () => ['/operator/service-keys'],
  '/operator/audit': ({ userId }) => ['/operator/audit', `/operator/audit?actor_user_id=${userId}`],
};

const ofOrganization =
  (path: string) =>
  ({ organizationId: id }: World) =>
    `/org/${id}${path}`;
const asOperator = ({ organizationId: id }: World) => `/operator/organizations/${id}`;

interface Form {
  readonly path: (world: World) => string;
  /** What opens it. */
  readonly clicks: readonly (string | RegExp)[];
  /** An unchosen choice, in a form without a text field. */
  readonly choice?: string;
}

/** The dialogs with a form. */
const forms: Readonly<Record<string, Form>> = {
  'create a key': { path: ofOrganization('/settings/api-keys'), clicks: [/^Create/] },
  'create a project': { path: ofOrganization('/projects'), clicks: ['Create project'] },
  'edit a project': { path: ofOrganization('/projects'), clicks: [/^Actions for/, 'Edit'] },
  'invite a member': { path: ofOrganization('/settings/members'), clicks: ['Invite'] },
  'invite an operator': { path: () => '/operator/operators', clicks: ['Invite'] },
  'suspend an organization': { path: asOperator, clicks: ['Suspend…'] },
  'set a retention': { path: asOperator, clicks: ['Set the days…'] },
  'grant credits': { path: asOperator, clicks: ['Grant'] },
  'set a scope ceiling': { path: asOperator, clicks: ['Change'], choice: 'Only these scopes' },
  'place a legal hold': { path: ({ emptyId }) => `/operator/organizations/${emptyId}`, clicks: ['Legal hold…'] },
  'rotate a key': {
    path: ofOrganization('/settings/api-keys'),
    clicks: [/^Actions for/, /^Rotate/],
    choice: 'In 1 hour',
  },
  'create a password reset link': { path: () => '/operator/operators', clicks: ['Create a link'] },
  'create an organization': { path: () => '/operator/service-keys', clicks: ['Create an organization'] },
};

/** The sidebar is the same on each page, except for the mark of the current one: /account has none. */
const WITH_SIDEBAR = ['/account', '/org/$organizationId/audit'];
const withoutSession = ['/sign-in', '/register', '/invitation', '/password-reset'];

inChromium('every page', () => {
  let dashboard: Dashboard;
  let world: World;
  let page: Page;
  let outside: Page;
  /** How many secondary texts were looked at for a user who prefers more contrast. */
  let dimmedTexts = 0;

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
    'at %s fits any screen, stays in its place while it loads, and is for every user',
    async (route, paths) => {
      const tab = withoutSession.includes(route) ? outside : page;
      const faults: string[] = [];
      for (const [at, path] of paths(world).entries()) {
        await load(dashboard, tab, path);
        const { sum, what } = await shiftOf(tab);
        const german = GERMAN.exec(await tab.locator('body').innerText());
        if (german) faults.push(`${path} is not in English: ${german[0]}`);
        if (sum >= MOST_SHIFT) faults.push(`shifts by ${sum.toFixed(3)}`, ...what);
        for (const width of at === 0 ? WIDTHS : [WIDTHS[0]!, WIDTHS.at(-1)!]) {
          await tab.setViewportSize({ width, height: 900 });
          await painted(tab);
          await settled(tab);
          faults.push(...[...(await sticksOut(tab)), ...(await cutTexts(tab))].map((fault) => `${width} ${fault}`));
          await picture(tab, path, width);
        }
        const isWhole = WITH_SIDEBAR.includes(route) || tab === outside;
        await expectAccessible(tab, isWhole);
        if (at === 0) {
          const { dimmed, faint } = await contrastOf(tab);
          dimmedTexts += dimmed;
          faults.push(...(await keyboardFaults(tab, isWhole ? 'body' : '#main')), ...faint);
        }
        expectNoComplaints(tab);
      }
      expect(faults).toEqual([]);
    },
  );

  it('was looked at for dimmed texts, and there are some', () => {
    expect(dimmedTexts).toBeGreaterThan(0);
  });

  it.each(Object.entries(forms))(
    'asks before it discards what was typed to %s',
    async (_, { path, clicks, choice }) => {
      await page.setViewportSize({ width: 1440, height: 900 });
      await dashboard.open(page, path(world));
      const open = async () => {
        for (const name of clicks)
          await page.getByRole('button', { name }).or(page.getByRole('menuitem', { name })).first().click();
        await field.waitFor();
      };
      const dialog = page.getByRole('dialog').first();
      const text = dialog.locator('input:not([type="radio"], [type="checkbox"], [type="hidden"])').first();
      const field = choice ? dialog.getByRole('radio', { name: choice }) : text;
      const question = page.getByRole('dialog', { name: 'Discard your changes?' });
      await open();
      await field.focus();
      await page.keyboard.press('Escape');
      await field.waitFor({ state: 'detached' });
      await open();
      await (choice ? field.check() : field.fill('7'));
      await page.keyboard.press('Escape');
      await question.waitFor();
      await page.keyboard.press('Escape');
      await question.waitFor({ state: 'detached' });
      expect(choice ? await field.isChecked() : await field.inputValue()).toBe(choice ? true : '7');
      await page.mouse.click(5, 450);
      await question.getByRole('button', { name: 'Discard' }).click();
      await field.waitFor({ state: 'detached' });
      expect(await question.count()).toBe(0);
      expectNoComplaints(page);
    },
  );
});

/** As a user who opens the address for the first time. */
async function load(dashboard: Dashboard, tab: Page, path: string): Promise<void> {
  await tab.setViewportSize({ width: WIDTHS.at(-1)!, height: 900 });
  await tab.evaluate('localStorage.clear()');
  await dashboard.load(tab, path);
  await settled(tab);
}

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
  const invite = () => own.invitations.create({ params: { id }, body: { role: 'developer' } });
  const member = await dashboard.account((await invite()).token);
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
  // So the pages of operators have the notice of an unknown proxy.
  await fetch(`${dashboard.url}/authz`);
  await allIngested(dashboard);
  // A relative time is longest in tens of minutes.
  await dashboard.sql.query(
    `ALTER TABLE api_key_usage DISABLE TRIGGER USER;
     UPDATE api_key_usage SET last_used_at = last_used_at - interval '50 minutes';
     ALTER TABLE api_key DISABLE TRIGGER USER;
     UPDATE api_key SET created_at = created_at - interval '50 minutes'`,
  );
  const { id: suspendedId } = await own.organizations.create({ body: { name: 'Suspended' } });
  await own.deployment.suspendOrganization({ params: { id: suspendedId }, body: { reason: LONG } });
  const { token: invitationToken } = await invite();
  const { token: resetToken } = await own.deployment.createPasswordReset({ body: { email: member.email } });
  return {
    organizationId: id,
    projectId,
    keyId: key.id,
    userId: operator.userId,
    emptyId: operator.organizationId,
    invitationToken,
    resetToken,
  };
}
