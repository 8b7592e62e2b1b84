import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import type { Browser, Page } from 'playwright-core';
import { v7 } from 'uuid';
import { createClient, type Client } from '#libs/client/client.js';
import { fromUuid, toUuid } from '#libs/contract/ids.js';
import { findChromium, launchChromium } from '../browser/chromium.ts';
import { shiftOf } from '../browser/layout.ts';
import { fillAuditLog } from '../support/audit-log.ts';
import { startBuilt } from '../support/built.ts';

/*
 * Measures the dashboard in Chromium: the download before the first page, the time from a key press in the filter of
 * many API keys to the next paint, the layout shift of each page, the scrolling of a long audit log, and its
 * verification.
 */
const { values: options } = parseArgs({
  options: {
    keys: { type: 'string', default: '1000' },
    events: { type: 'string', default: '100000' },
    presses: { type: 'string', default: '30' },
    seconds: { type: 'string', default: '20' },
    what: { type: 'string', default: 'download,filter,shift,scroll,verify' },
  },
});
const KEYS = Number(options.keys);
const EVENTS = Number(options.events);
const PRESSES = Number(options.presses);
const SCROLL_MS = Number(options.seconds) * 1000;
const MOST_JAVASCRIPT_KB = 180;
const MOST_PRESS_MS = 100;
const MOST_SHIFT = 0.05;
const LONG_FRAME_MS = 50;
const MOST_VERIFICATION_S = 60;
const DIST = join(import.meta.dirname, '../../dist/dashboard');

interface Owner {
  readonly email: string;
  readonly password: string;
  readonly organizationId: string;
  readonly client: Client;
}

const executable = findChromium();
if (!executable) throw new Error('There is no Chromium: install it, or set CHROMIUM_PATH.');
const deployment = await startBuilt({});
const browser = await launchChromium(executable, []);
try {
  const owner = await register(deployment.url);
  print(`machine: ${cpus()[0]?.model.trim()}, ${cpus().length} cores; Chromium ${browser.version()}`);
  const what = options.what.split(',');
  if (what.includes('download')) await measureDownload(browser);
  const { host, port, user, database, password } = deployment.sql;
  const pool = new pg.Pool({ host, port, user, database, password: password as string });
  await makeKeys(pool, owner);
  if (what.includes('filter')) await measureFilter(browser, owner);
  if (what.includes('shift')) await measureShifts(browser, owner);
  if (what.includes('scroll') || what.includes('verify')) await makeEvents(pool, owner);
  if (what.includes('scroll')) await measureScrolling(browser, owner);
  if (what.includes('verify')) await measureVerification(browser, owner);
  await pool.end();
} finally {
  await browser.close();
  await deployment.stop();
}

async function register(baseUrl: string): Promise<Owner> {
  const email = 'ada@example.com';
  const password = `quiet ${randomBytes(9).toString('base64url')} harbour`;
  const { organization } = await createClient({ baseUrl }).auth.register({ body: { email, password, name: 'Ada' } });
  const { access_token: accessToken } = await createClient({ baseUrl }).auth.login({ body: { email, password } });
  return { email, password, organizationId: organization.id, client: createClient({ baseUrl, accessToken }) };
}

/** With an empty cache, as the browser reports it. */
async function measureDownload(browsing: Browser): Promise<void> {
  const page = await browsing.newPage();
  await page.goto(`${deployment.url}/sign-in`);
  await page.getByRole('button', { name: /^Sign in/ }).waitFor();
  const loaded = await page.evaluate<{ name: string; bytes: number }[]>(
    `performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.js'))
       .map(({ name, encodedBodySize }) => ({ name: new URL(name).pathname.slice(1), bytes: encodedBodySize }))`,
  );
  await page.close();
  const first = new Set(filesOfEntry());
  const sum = (files: typeof loaded) => files.reduce((total, { bytes }) => total + bytes, 0) / 1000;
  const before = sum(loaded.filter(({ name }) => first.has(name)));
  print(`JavaScript before the first route, compressed: ${before.toFixed(1)} kB (at most ${MOST_JAVASCRIPT_KB})`);
  print(`JavaScript until one can sign in: ${sum(loaded).toFixed(1)} kB in ${loaded.length} files`);
}

interface Chunk {
  readonly file: string;
  readonly isEntry?: boolean;
  readonly imports?: readonly string[];
}

/** The entry and everything that it imports statically. */
function filesOfEntry(): string[] {
  const manifest = JSON.parse(readFileSync(join(DIST, '.vite/manifest.json'), 'utf8')) as Record<string, Chunk>;
  const found = new Set<string>();
  const visit = (name: string) => {
    if (found.has(name)) return;
    found.add(name);
    for (const imported of manifest[name]?.imports ?? []) visit(imported);
  };
  for (const [name, { isEntry }] of Object.entries(manifest)) if (isEntry) visit(name);
  const files = [...found].map((name) => manifest[name]!.file);
  for (const file of files) statSync(join(DIST, file));
  return files;
}

/** Creates one key through the API, and copies its row: a thousand secrets would take minutes of Argon2id. */
async function makeKeys(pool: pg.Pool, { client, organizationId }: Owner): Promise<void> {
  const words = ['Checkout', 'Fleet', 'Reports', 'Gateway', 'Importer', 'Mobile app', 'Partner', 'Warehouse'];
  const { id } = await client.apiKeys.create({
    body: { name: words.at(-1)!, organization_id: organizationId, scopes: ['triggers:read'] },
  });
  await pool.query(
    `INSERT INTO api_key OVERRIDING USER VALUE
     SELECT (jsonb_populate_record(k, jsonb_build_object(
       'id', uuidv7(), 'public_key', 'pk_' || n, 'name', ($2::text[])[1 + n % $3] || ' ' || n))).*
     FROM api_key k, generate_series(1, $4::int - 1) AS n WHERE k.id = $1`,
    [toUuid(id), words, words.length, KEYS],
  );
}

async function signedIn(browsing: Browser, { email, password }: Owner, path: string): Promise<Page> {
  const context = await browsing.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.goto(`${deployment.url}${path}`);
  await page.getByRole('textbox', { name: 'Email' }).fill(email);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: /^Sign in/ }).click();
  await page.waitForURL((url) => url.pathname === path);
  await page.locator('h1').first().waitFor();
  await page.locator('.mantine-Skeleton-root').first().waitFor({ state: 'detached' });
  return page;
}

/** Event Timing reports the time from a key press to the next paint, rounded to 8 ms, if it is at least 16 ms. */
async function measureFilter(browsing: Browser, owner: Owner): Promise<void> {
  const page = await signedIn(browsing, owner, `/org/${owner.organizationId}/settings/api-keys`);
  const box = page.getByRole('searchbox').first();
  await box.click();
  await page.evaluate(`
    globalThis.presses = new Map();
    new PerformanceObserver((list) => {
      for (const { interactionId, duration } of list.getEntries())
        if (interactionId) presses.set(interactionId, Math.max(presses.get(interactionId) ?? 0, duration));
    }).observe({ type: 'event', durationThreshold: 16, buffered: false });`);
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Performance.enable', { timeDomain: 'threadTicks' });
  const cpuSeconds = async () =>
    (await cdp.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'TaskDuration')!.value;
  const before = await cpuSeconds();
  const text = 'warehouse 99';
  for (let press = 0; press < PRESSES; press++) {
    const place = press % (2 * text.length);
    // Types each character, and then deletes each.
    await page.keyboard.press(place < text.length ? text[place]! : 'Backspace');
    await page.waitForTimeout(250);
  }
  const slow = await page.evaluate<number[]>('[...presses.values()]');
  // Presses that were not reported took less than the reported minimum.
  const all = [...slow, ...Array.from({ length: Math.max(0, PRESSES - slow.length) }, () => 8)].toSorted(
    (a, b) => a - b,
  );
  print(
    `${PRESSES} key presses in the filter of ${KEYS} keys, to the next paint: median ${all[all.length >> 1]} ms, ` +
      `worst ${all.at(-1)} ms (at most ${MOST_PRESS_MS}); CPU time of the page's main thread: ` +
      `${((((await cpuSeconds()) - before) / PRESSES) * 1000).toFixed(0)} ms each, including the new list`,
  );
  await page.context().close();
}

/** Loads each page anew and waits until it is complete. */
async function measureShifts(browsing: Browser, owner: Owner): Promise<void> {
  const { data } = await owner.client.apiKeys.list({ query: { limit: 1 } });
  const organization = `/org/${owner.organizationId}`;
  const keys = `${organization}/settings/api-keys`;
  const others = ['projects', 'audit', 'integrity', 'usage', 'settings', 'settings/members'];
  const page = await signedIn(browsing, owner, keys);
  for (const path of [keys, `${keys}/${data[0]!.id}`, ...others.map((name) => `${organization}/${name}`), '/account']) {
    await page.goto(`${deployment.url}${path}`);
    await page.locator('h1').first().waitFor();
    await page.locator('.mantine-Skeleton-root').first().waitFor({ state: 'detached' });
    await page.waitForTimeout(500);
    const { sum } = await shiftOf(page);
    const name = path.replace(organization, '').replace(data[0]!.id, ':id') || '/';
    print(`layout shift of ${name}: ${sum.toFixed(3)} (at most ${MOST_SHIFT})`);
  }
  await page.context().close();
}

/** Appends uses directly to the audit log: creating that many through the API would take minutes. */
async function makeEvents(pool: pg.Pool, { organizationId, client }: Owner): Promise<void> {
  const { data } = await client.apiKeys.list({ query: { limit: 1 } });
  await fillAuditLog(pool, EVENTS, {
    organizationId,
    apiKeyId: data[0]!.id,
    data: {
      ip: '203.0.113.7',
      user_agent: 'curl/8.5.0',
      request_id: fromUuid('req', v7()),
      seq: 1,
      method: 'GET',
      cost: 1,
      scopes: ['triggers:read'],
    },
    path: '/v1/triggers/',
  });
}

/** Scrolls with the wheel as fast as a hand does, and measures every frame, including page loads on the way. */
async function measureScrolling(browsing: Browser, owner: Owner): Promise<void> {
  const page = await signedIn(browsing, owner, `/org/${owner.organizationId}/audit`);
  await page.evaluate(`
    globalThis.frames = [];
    let before = performance.now();
    requestAnimationFrame(function tick(now) { frames.push(now - before); before = now; requestAnimationFrame(tick); });
    performance.clearResourceTimings();
    performance.setResourceTimingBufferSize(10_000);`);
  await page.mouse.move(900, 600);
  for (const end = Date.now() + SCROLL_MS; Date.now() < end;) {
    await page.mouse.wheel(0, 600);
    await page.waitForTimeout(30);
  }
  const frames = await page.evaluate<number[]>('frames');
  const pages = await page.evaluate<number[]>(
    `performance.getEntriesByType('resource').filter(({ name }) => name.includes('/api/v1/audit/events'))
       .map(({ duration }) => duration)`,
  );
  const long = frames.filter((ms) => ms > LONG_FRAME_MS);
  const sorted = pages.toSorted((a, b) => a - b);
  print(
    `scrolling ${EVENTS} audit events for ${SCROLL_MS / 1000} s: ${frames.length} frames, ${long.length} longer than ` +
      `${LONG_FRAME_MS} ms, the longest ${Math.max(...frames).toFixed(0)} ms`,
  );
  print(
    pages.length === 0
      ? 'no further page was asked for'
      : `${pages.length} pages read on the way: median ${sorted[sorted.length >> 1]!.toFixed(0)} ms, worst ${sorted.at(-1)!.toFixed(0)} ms`,
  );
  await page.context().close();
}

/** Downloads and hashes every entry of the audit log in the browser, as its page "Integrity" does. */
async function measureVerification(browsing: Browser, owner: Owner): Promise<void> {
  const page = await signedIn(browsing, owner, `/org/${owner.organizationId}/integrity`);
  await page.evaluate(`
    globalThis.longest = 0;
    let before = performance.now();
    requestAnimationFrame(function tick(now) {
      longest = Math.max(longest, now - before); before = now; requestAnimationFrame(tick);
    });`);
  const began = performance.now();
  await page.getByRole('button', { name: 'Verify the whole log', exact: true }).click();
  await page.getByText('entries of the checkpoint were verified in this browser').waitFor({ timeout: 600_000 });
  const seconds = (performance.now() - began) / 1000;
  const longest = await page.evaluate<number>('longest');
  print(
    `verification of ${EVENTS} audit events: ${seconds.toFixed(1)} s, ${Math.round(EVENTS / seconds)} each second ` +
      `(at most ${MOST_VERIFICATION_S} s for a million), the longest frame ${longest.toFixed(0)} ms`,
  );
  await page.context().close();
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
