import { execFileSync } from 'node:child_process';
import { chromium, type Browser } from 'playwright-core';

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
      // A page of a test ends before code that V8 has optimized for it pays back. Threads of V8 and frequent collections of
      // young garbage shorten the wait of a user, but take nearly a fifth of the CPU time of a load.
      '--js-flags=--no-opt --no-maglev --single-threaded --min-semi-space-size=16',
    ],
  });
}
