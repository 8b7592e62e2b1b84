import { chmod, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * A new folder for the data of a PostgreSQL server, in memory if there is room (global-setup.mjs): there, syncing a file
 * costs nothing. The end of the run deletes it, if the test does not.
 */
export async function scratchDirectory(prefix: string): Promise<string> {
  const directory = await mkdtemp(join(process.env['KEYLEDGER_TEST_DIRECTORY']!, prefix));
  // If the user is root, PostgreSQL runs as another user, who must be able to reach its data.
  await chmod(directory, 0o711);
  return directory;
}
