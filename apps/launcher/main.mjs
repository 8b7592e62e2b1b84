// From `npm start` to running processes: install what is missing, build what changed, go on with the bundled Node.
// Plain JavaScript without dependencies, because it runs before there are any, on the machine's own Node.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, isBuilt } from './build.mjs';
import { install, isInstalled, linkPostgresLibraries } from './install.mjs';
import { withSetupLock } from './lock.mjs';
import { findNode, requireNode } from './node.mjs';
import { handOver } from './run.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const APP = (name) => [join(ROOT, 'dist', 'apps', name, 'main.js')];

/** What each mode runs, before the caller's own arguments. */
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
    // Only a service is tied to this process's life by a channel: a command such as jest would mistake it for its own.
    const service = ['up', 'api', 'worker', 'example'].includes(mode);
    if (command) process.exitCode = await handOver(ROOT, findNode(ROOT), [...command, ...args], { service });
  } catch (error) {
    // What we throw on purpose is one sentence; anything else is a fault of ours and keeps its stack.
    fail(error.name === 'SetupError' ? error.message : error.stack, 1);
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
