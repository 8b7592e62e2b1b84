import { randomBytes } from 'node:crypto';
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { createClient, type Client } from '#libs/client/client.js';
import { DEPLOYMENT_ID, type Role } from '#libs/contract/organizations.js';
import { startBuilt, type BuiltDeployment } from '../support/built.ts';
import { findChromium, launchChromium, waitFinely } from './chromium.ts';

/*
 * Renders every page of the dashboard into docs/screenshots, from a real deployment with made-up data: light and dark,
 * wide and narrow. The arguments, if any, are the names of the pages to render.
 */
const FOLDER = join(import.meta.dirname, '../../docs/screenshots');
const LOOKS = [
  { suffix: 'light', colorScheme: 'light', viewport: { width: 1440, height: 900 } },
  { suffix: 'dark', colorScheme: 'dark', viewport: { width: 1440, height: 900 } },
  { suffix: 'light-narrow', colorScheme: 'light', viewport: { width: 360, height: 740 } },
  { suffix: 'dark-narrow', colorScheme: 'dark', viewport: { width: 360, height: 740 } },
] as const;

interface Person {
  readonly name: string;
  readonly email: string;
  readonly password: string;
  readonly userId: string;
  readonly personalId: string;
  readonly client: Client;
}

interface Seeded {
  readonly operator: Person;
  readonly owner: Person;
  readonly viewer: Person;
  readonly organizationId: string;
  readonly suspendedId: string;
  readonly projectId: string;
  readonly keyId: string;
  readonly invitationToken: string;
  readonly resetToken: string;
}

interface Shot {
  readonly name: string;
  readonly path: (seeded: Seeded) => string;
  /** The user who is signed in. Without it, there is no session. */
  readonly as?: (seeded: Seeded) => Person;
  /** The names of the buttons, menu items and checkboxes to click, once the page is loaded. */
  readonly clicks?: readonly (string | RegExp)[];
}

const owner = ({ owner: person }: Seeded) => person;
const viewer = ({ viewer: person }: Seeded) => person;
const operator = ({ operator: person }: Seeded) => person;
const org = (path: string) => (seeded: Seeded) => `/org/${seeded.organizationId}${path}`;

const shots: readonly Shot[] = [
  { name: 'sign-in', path: () => '/sign-in' },
  { name: 'register', path: () => '/register' },
  { name: 'invitation', path: ({ invitationToken }) => `/invitation#${invitationToken}` },
  { name: 'password-reset', path: ({ resetToken }) => `/password-reset#${resetToken}` },
  { name: 'first-steps', path: org('/start'), as: owner },
  { name: 'api-keys', path: org('/settings/api-keys'), as: owner },
  {
    name: 'api-keys-bulk',
    path: org('/settings/api-keys'),
    as: owner,
    clicks: ['Select Gateway', 'Select Importer', /^Revoke/],
  },
  { name: 'api-keys-create', path: org('/settings/api-keys'), as: owner, clicks: [/^Create/] },
  { name: 'api-key', path: (seeded) => `/org/${seeded.organizationId}/settings/api-keys/${seeded.keyId}`, as: owner },
  { name: 'projects', path: org('/projects'), as: owner },
  { name: 'projects-empty', path: (seeded) => `/org/${seeded.owner.personalId}/projects`, as: owner },
  { name: 'projects-delete', path: org('/projects'), as: owner, clicks: ['Actions for Checkout', 'Delete'] },
  {
    name: 'project',
    path: (seeded) => `/org/${seeded.organizationId}/projects/${seeded.projectId}/api-keys`,
    as: owner,
  },
  { name: 'audit', path: org('/audit'), as: owner },
  { name: 'audit-event', path: org('/audit?event=5'), as: owner },
  { name: 'audit-person', path: (seeded) => `${org('/audit/by/')(seeded)}${seeded.owner.userId}`, as: owner },
  { name: 'audit-report', path: org('/audit/report'), as: owner },
  { name: 'integrity', path: org('/integrity'), as: owner },
  { name: 'usage', path: org('/usage'), as: owner },
  { name: 'members', path: org('/settings/members'), as: owner },
  { name: 'members-as-viewer', path: org('/settings/members'), as: viewer },
  { name: 'members-invite', path: org('/settings/members'), as: owner, clicks: ['Invite'] },
  { name: 'members-link', path: org('/settings/members'), as: owner, clicks: ['Invite', 'Create the link'] },
  { name: 'members-remove', path: org('/settings/members'), as: owner, clicks: ['Remove Grace Hopper'] },
  { name: 'members-personal', path: (seeded) => `/org/${seeded.owner.personalId}/settings/members`, as: owner },
  { name: 'settings', path: org('/settings'), as: owner },
  { name: 'settings-suspended', path: ({ suspendedId }) => `/org/${suspendedId}/settings`, as: owner },
  { name: 'not-a-member', path: ({ operator: other }) => `/org/${other.personalId}/projects`, as: owner },
  { name: 'guide', path: () => '/docs/gateways' },
  { name: 'reference', path: () => '/docs/api' },
  { name: 'not-found', path: () => '/nowhere', as: owner },
  { name: 'account', path: () => '/account', as: owner },
  { name: 'operator-organizations', path: () => '/operator/organizations', as: operator },
  { name: 'operator-organization', path: (seeded) => `/operator/organizations/${seeded.organizationId}`, as: operator },
  {
    name: 'operator-ceiling',
    path: (seeded) => `/operator/organizations/${seeded.organizationId}`,
    as: operator,
    clicks: ['Change'],
  },
  {
    name: 'operator-suspend',
    path: (seeded) => `/operator/organizations/${seeded.organizationId}`,
    as: operator,
    clicks: ['Suspend…'],
  },
  { name: 'operator-looks-inside', path: org('/projects'), as: operator },
  { name: 'operator-operators', path: () => '/operator/operators', as: operator },
  { name: 'operator-service-keys', path: () => '/operator/service-keys', as: operator },
  { name: 'operator-deployment-log', path: () => `/org/${DEPLOYMENT_ID}/audit`, as: operator },
];

const executable = findChromium();
if (!executable) throw new Error('There is no Chromium: install it, or set CHROMIUM_PATH.');
const wanted = process.argv.slice(2);
const chosen = shots.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
const deployment = await startBuilt({
  APP_SCOPES: 'orders:read,orders:write,payments:capture,payments:refund,robots:read,robots:move',
});
const browser = await launchChromium(executable, []);
try {
  const seeded = await seed(deployment);
  await mkdir(FOLDER, { recursive: true });
  if (wanted.length === 0) await rm(FOLDER, { recursive: true }).then(() => mkdir(FOLDER));
  const sizes: number[] = [];
  for (const look of LOOKS) sizes.push(...(await render(seeded, look)));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  process.stdout.write(`${sizes.length} pictures, ${(bytes / 1e6).toFixed(1)} MB\n`);
} finally {
  await browser.close();
  await deployment.stop();
}

/**
 * Each user signs in once for each look.
 * @returns the size of each picture in bytes
 */
async function render(seeded: Seeded, { suffix, colorScheme, viewport }: (typeof LOOKS)[number]): Promise<number[]> {
  const pages = new Map<Person | undefined, Page>();
  const sizes: number[] = [];
  for (const shot of chosen) {
    // The page behind a dialog has its own pictures, so half of the looks are enough.
    if (shot.clicks && !['light', 'dark-narrow'].includes(suffix)) continue;
    const person = shot.as?.(seeded);
    const page = pages.get(person) ?? (await open(person, { colorScheme, viewport }));
    pages.set(person, page);
    const file = join(FOLDER, `${shot.name}.${suffix}.png`);
    try {
      await page.goto(shot.path(seeded));
      await settled(page);
      for (const name of shot.clicks ?? []) {
        await page
          .getByRole('button', { name })
          .or(page.getByRole('menuitem', { name }))
          .or(page.getByRole('checkbox', { name }))
          .first()
          .click();
        await settled(page);
      }
      await page.screenshot({ path: file, animations: 'disabled', caret: 'hide' });
      sizes.push((await stat(file)).size);
    } catch (error) {
      // A page without the button to click is reported. The other pages are still rendered.
      process.stderr.write(`${shot.name}.${suffix}: ${(error as Error).message.split('\n', 1)[0]}\n`);
    }
  }
  for (const page of pages.values()) await page.context().close();
  return sizes;
}

async function open(person: Person | undefined, options: BrowserContextOptions): Promise<Page> {
  const context = await browser.newContext({
    baseURL: deployment.url,
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    reducedMotion: 'reduce',
    ...options,
  });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  waitFinely(page);
  if (!person) return page;
  await page.goto('/sign-in');
  await page.getByRole('textbox', { name: 'Email' }).fill(person.email);
  await page.getByLabel('Password', { exact: true }).fill(person.password);
  await page.getByRole('button', { name: /^Sign in/ }).click();
  await page.waitForURL((url) => url.pathname !== '/sign-in');
  return page;
}

/** Waits for a heading, and until all placeholders and loaders are gone. */
async function settled(page: Page): Promise<void> {
  await page.locator('h1').first().waitFor();
  await page.locator('.mantine-Skeleton-root, .mantine-Loader-root').first().waitFor({ state: 'detached' });
  await page.mouse.move(0, 0);
  // Some parts, such as charts, are drawn after the page has measured them.
  await page.waitForTimeout(300);
}

async function seed({ url, sql, operatorToken }: BuiltDeployment): Promise<Seeded> {
  const staff = await register(url, 'Olga Ladyzhenskaya', operatorToken);
  const team = await seedTeam(url);
  const { owner: ada, grace, vera, organizationId } = team;
  const checkout = await seedProjects(team);
  const keys = await seedKeys(team, checkout.id);
  const suspendedId = await seedOtherOrganizations(staff, ada, grace);
  await limit(staff, organizationId, suspendedId);
  const { token: resetToken } = await staff.client.deployment.createPasswordReset({ body: { email: vera.email } });
  await use(url, keys);
  await age(sql);
  return {
    operator: staff,
    owner: ada,
    viewer: vera,
    organizationId,
    suspendedId,
    projectId: checkout.id,
    keyId: keys.shop.id,
    invitationToken: team.invitationToken,
    resetToken,
  };
}

async function register(url: string, name: string, invitation?: string): Promise<Person> {
  const email = `${name.split(' ', 1)[0]!.toLowerCase()}@acme.example`;
  const password = `quiet ${randomBytes(9).toString('base64url')} harbour`;
  const { user, organization } = await createClient({ baseUrl: url }).auth.register({
    body: { name, email, password, ...(invitation && { invitation_token: invitation }) },
  });
  const { access_token: accessToken } = await createClient({ baseUrl: url }).auth.login({ body: { email, password } });
  const client = createClient({ baseUrl: url, accessToken });
  return { name, email, password, client, userId: user.id, personalId: organization.id };
}

type Team = Awaited<ReturnType<typeof seedTeam>>;

async function seedTeam(url: string) {
  const owner = await register(url, 'Ada Lovelace');
  const { id: organizationId } = await owner.client.organizations.create({ body: { name: 'Acme Robotics' } });
  const invite = async (role: Role, email?: string) =>
    owner.client.invitations.create({ params: { id: organizationId }, body: { role, ...(email && { email }) } });
  const joins = async (name: string, role: Role) => register(url, name, (await invite(role)).token);
  const grace = await joins('Grace Hopper', 'admin');
  const linus = await joins('Linus Pauling', 'developer');
  await joins('Margaret Hamilton', 'auditor');
  const vera = await joins('Vera Rubin', 'viewer');
  await invite('developer', 'katherine@acme.example');
  const { token: invitationToken } = await invite('developer');
  return { owner, grace, linus, vera, organizationId, invitationToken };
}

/** @returns the project that has keys */
async function seedProjects({ owner: { client }, organizationId }: Team) {
  const project = (name: string, description: string) =>
    client.projects.create({ body: { name, description, organization_id: organizationId } });
  const checkout = await project('Checkout', 'Orders and payments of the web shop.');
  await project('Fleet', 'The robots of the warehouses in Hamburg and Gdańsk.');
  await project('Partner portal', 'What resellers build on.');
  await project('Research', '');
  return checkout;
}

type Keys = Awaited<ReturnType<typeof seedKeys>>;

async function seedKeys({ owner: ada, grace, linus, organizationId }: Team, checkoutId: string) {
  const key = (by: Person, body: Omit<Parameters<Client['apiKeys']['create']>[0]['body'], 'organization_id'>) =>
    by.client.apiKeys.create({ body: { organization_id: organizationId, ...body } });
  const shop = await key(ada, {
    name: 'Shop backend',
    environment: 'live',
    project_id: checkoutId,
    scopes: ['orders:read', 'orders:write', 'payments:capture'],
    expires_in_days: 90,
  });
  const web = await key(grace, {
    name: 'Shop pages',
    environment: 'live',
    project_id: checkoutId,
    scopes: ['orders:read'],
    allowed_domains: ['shop.acme.example', '*.shop.acme.example'],
  });
  const robots = await key(linus, { name: 'Warehouse controller', environment: 'live', scopes: ['robots:*'] });
  const reports = await key(grace, {
    name: 'Nightly reports',
    environment: 'live',
    scopes: ['orders:read', 'robots:read'],
  });
  const ci = await key(linus, {
    name: 'Continuous integration',
    environment: 'test',
    scopes: ['orders:*'],
    expires_in_days: 7,
  });
  await key(linus, { name: 'Linus’s laptop', environment: 'test', scopes: ['robots:read'] });
  const old = await key(ada, { name: 'Old gateway', environment: 'live', scopes: ['orders:read'] });
  const paused = await key(ada, {
    name: 'Importer',
    environment: 'live',
    scopes: ['orders:write'],
    allowed_ips: ['203.0.113.0/24'],
  });
  await ada.client.apiKeys.rotate({ params: { id: robots.id }, body: { grace_period_seconds: 86_400 } });
  await ada.client.apiKeys.revoke({ params: { id: old.id } });
  await ada.client.apiKeys.disable({ params: { id: paused.id } });
  const gateway = await key(ada, { name: 'Gateway', environment: 'live', scopes: ['api-keys:verify'] });
  return { shop, web, robots, reports, ci, old, paused, gateway };
}

/** @returns the id of the organization to suspend */
async function seedOtherOrganizations(staff: Person, ada: Person, grace: Person): Promise<string> {
  const { id: vendorId } = await staff.client.organizations.create({ body: { name: 'The company' } });
  for (const name of ['Edge gateway, Europe', 'Edge gateway, America'])
    await staff.client.apiKeys.create({ body: { name, organization_id: vendorId, scopes: ['deployment:verify'] } });
  const others = ['Northwind Traders', 'Globex', 'Initech', 'Umbrella Logistics', 'Hooli'];
  for (const name of others) await grace.client.organizations.create({ body: { name } });
  const { id } = await ada.client.organizations.create({ body: { name: 'Sirius Cybernetics' } });
  return id;
}

/** What an operator does to organizations. */
async function limit({ client: { credits, deployment } }: Person, id: string, suspendedId: string): Promise<void> {
  const grant = (amount: number, reason: string) => credits.grant({ params: { id }, body: { amount, reason } });
  await grant(50_000, 'Annual plan');
  await grant(5_000, 'For the outage of May');
  await deployment.setScopeCeiling({
    params: { id },
    body: { scope_ceiling: ['orders:*', 'payments:capture', 'robots:*', '*:read', 'api-keys:verify'] },
  });
  await deployment.suspendOrganization({ params: { id: suspendedId }, body: { reason: 'Two invoices are unpaid' } });
}

async function use(url: string, { shop, web, robots, reports, ci, old, paused, gateway }: Keys): Promise<void> {
  const verifier = createClient({ baseUrl: url, apiKey: gateway.key });
  const endpoints = ['/orders', '/orders/ord_481', '/payments', '/robots/7/position', '/reports/daily'];
  const used = [shop, shop, shop, web, robots, reports, ci, shop, old, paused];
  for (let index = 0; index < 60; index++) {
    await verifier.apiKeys.verify({
      body: {
        key: used[index % used.length]!.key,
        request: {
          method: index % 4 === 0 ? 'POST' : 'GET',
          path: endpoints[index % endpoints.length]!,
          ip: `203.0.113.${(index % 9) + 1}`,
        },
      },
    });
  }
}

/** Backdates the rows. The API has just created them, but the pages should look as if they were in use for a while. */
async function age(sql: BuiltDeployment['sql']): Promise<void> {
  const [deadline, pause] = [Date.now() + 30_000, 100];
  const waiting = async () =>
    (await sql.query<{ left: number }>('SELECT count(*)::int AS left FROM outbox')).rows[0]!.left;
  while ((await waiting()) > 0 && Date.now() < deadline) await new Promise((next) => setTimeout(next, pause));
  for (const [table, id, days] of [
    ['organization', 'id', 23],
    ['membership', 'user_id', 16],
    ['project', 'id', 11],
    ['api_key', 'id', 9],
    ['credit_grant', 'id', 40],
  ]) {
    // Triggers keep the time of a creation as it is.
    await sql.query(`ALTER TABLE ${table} DISABLE TRIGGER USER`);
    await sql.query(
      `UPDATE ${table} t SET created_at = t.created_at - make_interval(days => ${days} * (older.place::int - 1), hours => 5)
       FROM (SELECT ${id}, row_number() OVER (ORDER BY ${id} DESC) AS place FROM ${table}) older
       WHERE older.${id} = t.${id}`,
    );
  }
  // Repeats the recent usage over the two weeks before, as a wave of days and nights that is the same in every run.
  await sql.query(
    `INSERT INTO api_key_usage_hour (api_key_id, hour, outcome, management, organization_id, project_id, counts, credits)
     SELECT api_key_id, hour - make_interval(hours => back), outcome, management, organization_id, project_id,
            ARRAY(SELECT ceil(count * wave) FROM unnest(counts) AS count),
            ARRAY(SELECT ceil(credit * wave) FROM unnest(credits) AS credit)
     FROM api_key_usage_hour,
          LATERAL generate_series(1, 14 * 24) AS back,
          LATERAL (SELECT 6 * (1.2 + sin(back * pi() / 12)) * (1 + 0.4 * sin(back * 0.7)) AS wave) w
     ON CONFLICT DO NOTHING`,
  );
  await sql.query(
    `UPDATE api_key_usage k SET uses = t.uses, denials = t.denials
     FROM (SELECT api_key_id, coalesce(sum(count) FILTER (WHERE outcome = 'valid'), 0) AS uses,
                  coalesce(sum(count) FILTER (WHERE outcome <> 'valid'), 0) AS denials
           FROM api_key_usage_hour, unnest(counts) AS count GROUP BY api_key_id) t
     WHERE t.api_key_id = k.api_key_id`,
  );
}
