// From `npm start` to running processes: installs missing packages, builds changed sources, and continues with the
// bundled Node. Plain JavaScript without dependencies, because it runs on the machine's own Node before they are
// installed.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, isBuilt } from './build.mjs';
import { explain } from './errors.mjs';
import { install, isInstalled } from './install.mjs';
import { withSetupLock } from './lock.mjs';
import { findNode, requireNode } from './node.mjs';
import { linkPostgresLibraries } from './postgres.mjs';
import { handOver } from './run.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const APP = (name) => [join(ROOT, 'dist', 'apps', name, 'main.js')];

/** The command of each mode; the user's arguments follow it. */
const MODES = {
  setup: undefined,
  up: [...APP('cli'), 'up'],
  migrate: [...APP('cli'), 'migrate'],
  cli: APP('cli'),
  api: APP('api'),
  worker: APP('worker'),
  example: APP('example'),
  test: ['--experimental-vm-modules', join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js')],
};

export async function launch([mode, ...args]) {
  if (!Object.hasOwn(MODES, mode))
    return fail(`usage: launcher.mjs ${Object.keys(MODES).join('|')} [argument ...]`, 64);
  try {
    await setUp();
    const command = MODES[mode];
    // Only a service needs the channel, which ties it to this process. Other commands, such as jest, would misuse it.
    const service = ['up', 'api', 'worker', 'example'].includes(mode);
    if (command) process.exitCode = await handOver(ROOT, findNode(ROOT), [...command, ...args], { service });
  } catch (error) {
    fail(explain(error), 1);
  }
}

async function setUp() {
  requireNode();
  if (!isInstalled(ROOT) || !isBuilt(ROOT)) {
    await withSetupLock(ROOT, async (lock) => {
      if (!isInstalled(ROOT)) await install(ROOT, lock);
      if (!isBuilt(ROOT)) await build(ROOT, findNode(ROOT), lock);
    });
  }
  linkPostgresLibraries(ROOT);
}

function fail(sentence, code) {
  process.stderr.write(`${sentence}\n`);
  process.exitCode = code;
}
