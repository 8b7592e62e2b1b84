import { join } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import { expect } from '@jest/globals';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { freePort } from '../faults/ports.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { findChromium, launchChromium } from './chromium.js';

const DASHBOARD = join(import.meta.dirname, '../../dist/dashboard');

export interface Dashboard extends Deployment {
  readonly browser: Browser;
  /** A browser of its own, with nobody signed in. What its pages do wrong fails {@link expectNoComplaints}. */
  open(options?: BrowserContextOptions): Promise<BrowserContext>;
  /** A page at this address, signed in through the form. */
  signedIn(account: Pick<Account, 'email' | 'password'>, path?: string): Promise<Page>;
}

/** A deployment with the built dashboard, where a browser takes it for trustworthy, as it would with TLS. */
export async function startDashboard(env: Record<string, string> = {}): Promise<Dashboard> {
  const port = await freePort();
  const baseURL = `http://127.0.0.1:${port}`;
  const deployment = await startDeployment({ port, dashboard: DASHBOARD, env: { PUBLIC_URL: baseURL, ...env } });
  const browser = await launchChromium(findChromium()!, []);
  const open: Dashboard['open'] = async (options) => {
    const context = await browser.newContext({ baseURL, reducedMotion: 'reduce', ...options });
    context.setDefaultTimeout(10_000);
    watch(context, baseURL);
    return context;
  };
  return {
    ...deployment,
    browser,
    open,
    async signedIn(account, path = '/') {
      const page = await (await open()).newPage();
      await page.goto(path);
      await signIn(page, account);
      await page.waitForURL((url) => url.pathname !== '/sign-in');
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

const complaints = new Map<BrowserContext, string[]>();

/** Answers that are no success are for the page to show; the browser also writes them to its console. */
const ANSWER = /^Failed to load resource: the server responded with a status of 4\d\d/;

function watch(context: BrowserContext, origin: string): void {
  const list: string[] = [];
  complaints.set(context, list);
  context.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !ANSWER.test(message.text())) list.push(message.text());
  });
  context.on('weberror', (error) => list.push(String(error.error())));
  context.on('request', (request) => {
    if (!request.url().startsWith(origin)) list.push(`a request to ${request.url()}`);
  });
}

/** No error or violation of the content security policy in the console, and no request to anybody else. */
export function expectNoComplaints(context: BrowserContext): void {
  expect(complaints.get(context)).toEqual([]);
}

/** By axe, in both colour schemes. */
export async function expectAccessible(page: Page): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const { violations } = await new AxeBuilder({ page }).analyze();
    const places = violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${colorScheme} ${id}: ${html}\n${failureSummary}`),
    );
    expect(places).toEqual([]);
  }
}

/** On the narrowest telephones nothing has to be scrolled sideways. */
export async function expectFitsNarrowly(page: Page): Promise<void> {
  const size = page.viewportSize()!;
  await page.setViewportSize({ width: 360, height: 740 });
  const width = await page.evaluate<number>('document.documentElement.scrollWidth');
  await page.setViewportSize(size);
  expect(width).toBeLessThanOrEqual(360);
}
