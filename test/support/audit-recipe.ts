import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { leftOut } from './left-out.js';

const DOCS = join(import.meta.dirname, '../../docs');
/** Where Debian has the packages of Go that the recipe uses. */
const GO_PACKAGES = '/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog';

/** The commands that docs/audit.md shows for other tools, in order. */
const commands = [...readFileSync(join(DOCS, 'audit.md'), 'utf8').matchAll(/^```sh run\n(.*?)^```$/gms)].map(
  ([, command]) => command!,
);

/** Without Go there is no recipe, and its tests are left out. */
export function hasGo(): boolean {
  const found = existsSync(GO_PACKAGES) && spawnSync('go', ['version']).status === 0;
  if (!found) {
    leftOut('an audit log was not verified with other tools', 'apt-get install golang-go golang-golang-x-mod-dev');
  }
  return found;
}

/** A folder in which the commands run as they are printed. */
export interface Recipe {
  readonly folder: string;
  /** Runs the commands that contain a text. */
  run(containing: string, env: Readonly<Record<string, string>>): Promise<Ran>;
  close(): Promise<void>;
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function openRecipe(): Promise<Recipe> {
  const folder = await mkdtemp(join(tmpdir(), 'keyledger-recipe-'));
  await symlink(DOCS, join(folder, 'docs'));
  return {
    folder,
    run(containing, env) {
      const block = commands.find((command) => command.includes(containing));
      if (!block) throw new Error(`docs/audit.md has no command with ${containing}`);
      // The cache of Go is below the home folder.
      const own = { PATH: process.env['PATH'], HOME: process.env['HOME'] ?? folder, ...env };
      return outcomeOf('bash', ['--norc', '-euo', 'pipefail', '-c', block], folder, own);
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

async function outcomeOf(command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv): Promise<Ran> {
  try {
    return { code: 0, ...(await promisify(execFile)(command, args, { cwd, env })) };
  } catch (error) {
    const { code, stdout, stderr } = error as Ran;
    return { code, stdout, stderr };
  }
}
