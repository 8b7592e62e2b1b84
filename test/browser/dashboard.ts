import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';
import { freePort } from '../../apps/cli/free-port.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { findChromium, launchChromium, waitFinely } from './in-chromium.js';

const DASHBOARD = join(import.meta.dirname, '../../dist/dashboard');
/** Has half the code of the version with comments, and a browser compiles it for each page that it loads. */
const AXE = readFileSync(join(import.meta.dirname, '../../node_modules/axe-core/axe.min.js'), 'utf8');
/** A busy browser takes this long. */
const HOLDS_WITHIN_MS = 30_000;
const VIEWPORT = { width: 1280, height: 720 };

export interface Dashboard extends Deployment {
  /** Opens a page at this path in a browser without a session. Its errors fail {@link expectNoComplaints}. */
  visit(path: string): Promise<Page>;
  /** Does the same with this account signed in, by {@link Dashboard.open}. */
  signedIn(account: Pick<Account, 'email' | 'password'>, path?: string): Promise<Page>;
  /**
   * Opens this path for the user of the page's cookie, with no state and no data of what the page showed before. The
   * first page of each kind is loaded. To later ones the page moves within the running application, which takes less
   * than half of the CPU time.
   */
  open(page: Page, path: string): Promise<void>;
  /** Loads this path, also if {@link Dashboard.open} would move there. */
  load(page: Page, path: string): Promise<void>;
}

/**
 * Starts a deployment with the built dashboard, at an address that a browser trusts as it trusts TLS.
 * @param locale of the browser's user
 */
export async function startDashboard(env: Record<string, string> = {}, locale = 'en-US'): Promise<Dashboard> {
  const port = await freePort();
  const baseURL = `http://127.0.0.1:${port}`;
  const deployment = await startDeployment({
    port,
    realPauses: true,
    dashboard: DASHBOARD,
    env: { PUBLIC_URL: baseURL, ...env },
  });
  const browser = await launchChromium(findChromium()!, []);
  const newPage = async () => {
    const context = await browser.newContext({ baseURL, viewport: VIEWPORT, reducedMotion: 'reduce', locale });
    context.setDefaultTimeout(HOLDS_WITHIN_MS);
    context.on('page', (page) => watch(page, baseURL));
    const page = await context.newPage();
    waitFinely(page);
    return page;
  };
  const ended: Page[] = [];
  const nextPage = async () => {
    const page = ended.pop() ?? (await newPage());
    whenEnded.set(page, () => ended.push(page));
    complaints.set(page, []);
    return page;
  };
  const loaded = new Set<string>();
  const load = async (page: Page, path: string) => {
    loaded.add(kindOf(path));
    await page.goto(path);
  };
  const open = async (page: Page, path: string) => {
    if (loaded.has(kindOf(path)) && (await isInApplication(page))) return moveAfresh(page, path);
    await load(page, path);
  };
  return {
    ...deployment,
    open,
    load,
    async visit(path) {
      const page = await nextPage();
      await page.goto(path);
      return page;
    },
    async signedIn({ email, password }, path = '/') {
      const page = await nextPage();
      // Signs in as the form does. The form has its own tests.
      const data = { email, password, session: 'cookie' };
      expect((await page.context().request.post('/api/v1/auth/login', { data })).status()).toBe(200);
      await open(page, path);
      return page;
    },
    async stop() {
      await browser.close();
      await deployment.stop();
    },
  };
}

export async function signIn(page: Page, { email, password }: Pick<Account, 'email' | 'password'>): Promise<void> {
  await page.getByRole('textbox', { name: 'Email' }).fill(email);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: /^Sign in/ }).click();
}

const complaints = new WeakMap<Page, string[]>();
const whenEnded = new WeakMap<Page, () => void>();

/** The browser logs each error response to its console, but the page handles these itself. */
const ANSWER = /^Failed to load resource: the server responded with a status of 4\d\d/;

function watch(page: Page, origin: string): void {
  complaints.set(page, []);
  const complain = (text: string) => complaints.get(page)!.push(text);
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !ANSWER.test(message.text())) complain(message.text());
  });
  page.on('pageerror', (error) => complain(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(origin)) complain(`a request to ${request.url()}`);
  });
}

const kindOf = (path: string) => path.replace(/\?.*/, '').replaceAll(/\/[a-z]+_\w+/g, '/:id');

const isInApplication = (page: Page) => page.evaluate<boolean>('"__TSR_ROUTER__" in window');

/** Moves to this path as a link does. */
export async function moveTo(page: Page, path: string): Promise<void> {
  await page.evaluate(`__TSR_ROUTER__.history.push(${JSON.stringify(path)})`);
}

/** Moves to the page of unknown addresses, which is outside of the shell: this ends all components of the page. */
async function moveOut(page: Page): Promise<void> {
  await moveTo(page, '/nowhere');
  await page.getByRole('heading', { level: 1, name: 'Page not found' }).waitFor();
}

async function moveAfresh(page: Page, path: string): Promise<void> {
  await moveOut(page);
  // As after a sign-in in another tab: the application drops its access token and all its data.
  const whoami = page.waitForResponse(/\/whoami$/);
  await page.evaluate("new BroadcastChannel('keyledger-session').postMessage(undefined)");
  await (await whoami).finished();
  await page.evaluate(`__TSR_ROUTER__.history.replace(${JSON.stringify(path)})`);
}

/**
 * The console has no error and no violation of the content security policy, and no request went to another origin.
 * @param except complaints that the test caused itself
 */
export function expectNoComplaints(page: Page, except?: RegExp): void {
  const all = complaints.get(page)!.splice(0);
  expect(all.filter((text) => !except?.test(text))).toEqual([]);
}

/**
 * Ends the use of a page without complaints. The browser context keeps only its cache and the running application, and
 * the next page uses them: to start a browser context and to load the dashboard into it takes far longer than most tests.
 */
export async function expectCleanEnd(page: Page, except?: RegExp): Promise<void> {
  expectNoComplaints(page, except);
  await ((await isInApplication(page)) ? moveOut(page) : page.goto('/health/live'));
  await page.evaluate('localStorage.clear(), sessionStorage.clear()');
  await page.context().clearCookies();
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(VIEWPORT);
  whenEnded.get(page)!();
}

/** Repeats the expectation until it holds, for a page that is still changing. */
export async function until(expectation: () => void | Promise<void>): Promise<void> {
  const deadline = performance.now() + HOLDS_WITHIN_MS;
  for (;;) {
    try {
      return await expectation();
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await sleep(25);
  }
}

const MODAL = '[aria-modal="true"]';
/** A third of the elements of most pages. */
const SIDEBAR = '.mantine-AppShell-navbar';

/** Waits until the browser has drawn what the page has now. */
export async function painted(page: Page): Promise<void> {
  await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))');
}

/**
 * Checks the page with axe: all rules in the light scheme, and the rules about colours in the dark one. While a dialog is
 * open, checks only the dialog. Check the page behind it before or after.
 * @param withSidebar also checks the sidebar, which is the same on each page: every-page.spec.ts checks it
 */
export async function expectAccessible(page: Page, withSidebar = false): Promise<void> {
  // What a page is about to replace is pale.
  await page.locator('[aria-busy="true"]').first().waitFor({ state: 'detached' });
  // axe's own builder for Playwright loads the library in each run, and opens another page to gather the results.
  if (!(await page.evaluate('"axe" in window'))) await page.evaluate(AXE);
  // A click that opens a dialog returns a frame before the dialog is there, which has its name another frame later.
  await painted(page);
  const hasDialog = (await page.locator(`${MODAL}:visible`).count()) > 0;
  await page.locator('[role="dialog"]:not([aria-label], [aria-labelledby])').first().waitFor({ state: 'detached' });
  const context = hasDialog ? { include: [MODAL] } : { exclude: withSidebar ? [] : [SIDEBAR] };
  const current = await page.locator('html').getAttribute('data-mantine-color-scheme');
  // A change of the scheme styles the whole page anew, so the current one is first.
  const schemes = current === 'dark' ? (['dark', 'light'] as const) : (['light', 'dark'] as const);
  for (const colorScheme of schemes) {
    await page.emulateMedia({ colorScheme });
    await page.locator(`html[data-mantine-color-scheme="${colorScheme}"]`).waitFor();
    const options = {
      resultTypes: ['violations'],
      // A message names an element by its HTML.
      selectors: false,
      // It copies all style sheets, for rules about films and about the orientation of a screen.
      preload: false,
      ...(colorScheme === 'dark' && { runOnly: ['color-contrast', 'link-in-text-block'] }),
    };
    const { violations } = await page.evaluate<AxeResults>(
      `axe.run(${JSON.stringify(context)}, ${JSON.stringify(options)})`,
    );
    const places = violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${colorScheme} ${id}: ${html}\n${failureSummary}`),
    );
    expect(places).toEqual([]);
  }
}

/** The page needs no horizontal scrolling on the narrowest phones. */
export async function expectFitsNarrowly(page: Page): Promise<void> {
  const size = page.viewportSize()!;
  await page.setViewportSize({ width: 360, height: 740 });
  // The page may first have to replace a table by cards.
  const width = await eventually(
    () => page.evaluate<number>('document.documentElement.scrollWidth'),
    (found) => found <= 360,
  );
  await page.setViewportSize(size);
  expect(width).toBeLessThanOrEqual(360);
}
