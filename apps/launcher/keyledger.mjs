#!/usr/bin/env node
// The command of the installed package, which needs neither an installation nor a build: `keyledger` alone runs
// everything, as `npm start` does in a checkout.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { explain } from './errors.mjs';
import { findNode } from './node.mjs';
import { linkPostgresLibraries } from './postgres.mjs';
import { handOver } from './run.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const [command = 'up', ...args] = process.argv.slice(2);
try {
  if (command === 'up' && !process.env.DATABASE_URL) linkPostgresLibraries(ROOT);
  const service = ['up', 'api', 'worker'].includes(command);
  const cli = join(ROOT, 'dist', 'apps', 'cli', 'main.js');
  process.exitCode = await handOver(ROOT, findNode(ROOT), [cli, command, ...args], { service });
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = 1;
}
