import { randomBytes } from 'node:crypto';
import { renameSync, rmSync, writeFileSync } from 'node:fs';

/**
 * Replaces a file that only its owner may read. A crash leaves the old file or the new one. No symbolic link is
 * followed: one at `path` is replaced, and the file that is written first has a random name.
 */
export function replaceFile(path: string, text: string): void {
  const fresh = `${path}.${randomBytes(6).toString('hex')}.new`;
  try {
    writeFileSync(fresh, text, { mode: 0o600, flag: 'wx', flush: true });
    renameSync(fresh, path);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
}
