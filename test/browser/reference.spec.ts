import { afterAll, beforeAll, it } from '@jest/globals';
import { expectCleanEnd, startDashboard, type Dashboard } from './dashboard.js';
import { inChromium } from './in-chromium.js';

inChromium('the reference of the API', () => {
  let dashboard: Dashboard;

  beforeAll(async () => {
    dashboard = await startDashboard();
  });

  afterAll(() => dashboard.stop());

  it('shows an operation with its parameters and problems, within its content security policy', async () => {
    const page = await dashboard.visit('/docs');
    const create = page.locator('.opblock-post').filter({ has: page.locator('[data-path="/api/v1/api-keys"]') });
    await create.locator('button').first().click();
    await create.getByText('idempotency-key').first().waitFor();
    await create.getByText('insufficient_scope').first().waitFor();
    await expectCleanEnd(page);
  });
});
