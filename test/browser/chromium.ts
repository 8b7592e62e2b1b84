import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium, type Browser, type Locator, type Page } from 'playwright-core';

/** The names of Chromium on the PATH, in Debian and elsewhere. The headless shell needs a fifth less CPU time. */
const NAMES = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'];

/** `CHROMIUM_PATH`, or the Chromium on the PATH. Undefined if there is none. */
export function findChromium(): string | undefined {
  if (process.env['CHROMIUM_PATH']) return process.env['CHROMIUM_PATH'];
  for (const name of NAMES) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8' }).trim();
    } catch {
      // Try the next name.
    }
  }
  return undefined;
}

/** @param hosts names that resolve to this machine, in this browser only */
export function launchChromium(executablePath: string, hosts: readonly string[]): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: [
      `--host-resolver-rules=${hosts.map((host) => `MAP ${host} 127.0.0.1`).join(', ')}`,
      // Chromium does not run as root with a sandbox, and the pages are our own.
      '--no-sandbox',
      // Threads of V8 and frequent collections of young garbage shorten the wait of a user, but take CPU time.
      '--js-flags=--single-threaded --min-semi-space-size=16',
    ],
  });
}

/** The pauses after which a test looks for an element again. A look takes 2 ms. */
const PAUSES_MS = [10, 10, 20, 20, 20, 30, 40, 50];
const LOOKS_FOR_MS = 3_000;
const WAITING = ['waitFor', 'click', 'fill', 'check'] as const;

type Act = (this: Locator, ...args: unknown[]) => Promise<void>;
interface Wanted {
  readonly state?: 'attached' | 'detached' | 'hidden' | 'visible';
}

const prepared = new WeakSet<object>();

/**
 * Looks for elements more often, on all pages. Playwright does so after 20, 50, 100 and 100 ms and then every 500 ms. So
 * of 400 waits, 54 ended after 280 ms and 24 after 780 ms, and that was a tenth of the time of the tests.
 */
export function waitFinely(page: Page): void {
  const locators = Object.getPrototypeOf(page.locator('html')) as Record<(typeof WAITING)[number], Act>;
  if (prepared.has(locators)) return;
  prepared.add(locators);
  for (const name of WAITING) {
    const act = locators[name];
    locators[name] = async function (...args) {
      await look(() => isAsWanted(this, args[0] as Wanted | undefined));
      // It looks at once, and has the errors and the deadline.
      await act.apply(this, args);
    };
  }
}

async function isAsWanted(locator: Locator, options?: Wanted): Promise<boolean> {
  switch (options?.state) {
    case 'attached':
      return (await locator.count()) > 0;
    case 'detached':
      return (await locator.count()) === 0;
    case 'hidden':
      return locator.isHidden();
    default:
      return locator.isVisible();
  }
}

async function look(isDone: () => Promise<boolean>): Promise<void> {
  const until = performance.now() + LOOKS_FOR_MS;
  for (let n = 0; performance.now() < until; n++) {
    // It rejects if several elements match.
    if (await isDone().catch(() => true)) return;
    await sleep(PAUSES_MS[n] ?? PAUSES_MS.at(-1));
  }
}
