import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';
import { expectCleanEnd, expectFitsNarrowly, expectNoComplaints, startDashboard, type Dashboard } from './dashboard.js';
import { inChromium } from './in-chromium.js';

const AXE = readFileSync(join(import.meta.dirname, '../../node_modules/axe-core/axe.min.js'), 'utf8');

inChromium('the documents in the product', () => {
  let dashboard: Dashboard;

  beforeAll(async () => {
    dashboard = await startDashboard();
  });

  afterAll(() => dashboard.stop());

  async function expectNoViolation(page: Page) {
    await page.evaluate(AXE);
    const { violations } = await page.evaluate<AxeResults>('axe.run(document)');
    expect(violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`))).toEqual([]);
  }

  it('show an operation with examples and problems, within a content security policy and without other hosts', async () => {
    const page = await dashboard.visit('/docs/api');
    await page.getByRole('heading', { name: 'Keyledger' }).first().waitFor();
    await page.goto('/docs/api#tag/api-keys/POST/api/v1/api-keys');
    await page.getByRole('heading', { name: 'Create an API key' }).waitFor();
    await page.getByText('idempotency-key').first().waitFor();
    await page.getByText('Production server').first().waitFor();
    await page.goto('/docs/api#tag/gateways/GET/authz');
    await page.getByText('/authz').first().waitFor({ state: 'attached' });
    await expectCleanEnd(page);
  });

  it('have guides that link to each other, and whose commands name this deployment', async () => {
    const page = await dashboard.visit('/docs/');
    const paths = await page.locator('nav a').evaluateAll((links) => links.map((link) => link.getAttribute('href')!));
    expect(paths.length).toBeGreaterThan(15);
    const pages = new Map<string, string>();
    for (const path of paths) {
      const response = await fetch(dashboard.url + path);
      expect([path, response.status]).toEqual([path, 200]);
      pages.set(path, await response.text());
    }
    const broken = [...pages].flatMap(([from, html]) =>
      [...html.matchAll(/<a href="([^"]+)"/g)]
        .map(([, href]) => new URL(href!, dashboard.url + from))
        .filter(({ origin }) => origin === dashboard.url)
        .filter(({ pathname, hash }) => {
          const target = pages.get(pathname);
          return pathname !== '/' && (!target || !(hash === '' || target.includes(`id="${hash.slice(1)}"`)));
        })
        .map(({ href }) => `${from} → ${href}`),
    );
    expect(broken).toEqual([]);
    expect(pages.get('/docs/')).toContain(`BASE=${dashboard.url}`);
    for (const html of pages.values()) expect(html).not.toContain('127.0.0.1:3000');
    await expectCleanEnd(page);
  });

  it('have guides with a search, in light and dark, on phones, without a violation of accessibility', async () => {
    const page = await dashboard.visit('/docs/gateways');
    const frame = page.locator('.code').first();
    const code = (await frame.locator('pre').boundingBox())!;
    expect(code.x + code.width).toBeLessThanOrEqual((await frame.getByRole('button').boundingBox())!.x);
    await page.getByRole('searchbox', { name: 'Search the guides' }).fill('grace period');
    const found = page.getByRole('region', { name: 'Found' });
    await found.getByRole('link').first().waitFor();
    await expectNoViolation(page);
    await found.getByRole('link').first().click();
    await page.waitForURL(/\/docs\/[\w/-]+#/);
    await expectNoViolation(page);
    await page.getByRole('button', { name: 'Dark colors' }).click();
    await page.getByRole('button', { name: 'Light colors' }).waitFor();
    await expectNoViolation(page);
    await expectFitsNarrowly(page);
    expectNoComplaints(page);
    await expectCleanEnd(page);
  });
});
