import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Returns the secret in the file, which only its owner can read, or creates a random one. The secret is on disk before
 * this function returns. A crash leaves the whole file or none, and perhaps an unused `.new` file.
 */
export function keptSecret(file: string): string {
  return readKept(file) ?? makeSecret(file);
}

/** @returns undefined if there is no file */
export function readKept(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function makeSecret(file: string): string {
  const secret = randomBytes(32).toString('base64url');
  const fresh = `${file}.${randomBytes(6).toString('hex')}.new`;
  writeFileSync(fresh, `${secret}\n`, { mode: 0o600, flag: 'wx', flush: true });
  try {
    // Unlike a rename, a link never replaces a secret that another process has created meanwhile.
    linkSync(fresh, file);
  } finally {
    rmSync(fresh);
  }
  syncDirectory(dirname(file));
  return secret;
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
