import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Allows one installation or build at a time in a checkout. The lock file holds the process ids of the launcher and of
 * its children: npm outlives a killed launcher, and no other process may change node_modules until npm has ended.
 */
export async function withSetupLock(root, work) {
  const file = join(root, 'dist', '.setup-lock');
  mkdirSync(join(root, 'dist'), { recursive: true });
  for (let announced = false; !take(file); await sleep(200)) {
    const holders = livingHolders(file);
    if (holders === undefined) continue;
    if (holders.length === 0) discard(file);
    else if (!announced) {
      console.log(
        `Another start is setting up this checkout (process ${holders.join(', ')}, ${file}): waiting for it.`,
      );
      announced = true;
    }
  }
  try {
    return await work({ add: (pid) => appendFileSync(file, `${pid}\n`) });
  } finally {
    rmSync(file, { force: true });
  }
}

function take(file) {
  try {
    writeFileSync(file, `${process.pid}\n`, { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Undefined if the lock is gone, or is still empty because it was just created. */
function livingHolders(file) {
  try {
    const pids = readFileSync(file, 'utf8').trim().split('\n').map(Number).filter(Boolean);
    return pids.length === 0 ? undefined : pids.filter(isAlive);
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Deletes the lock by a rename, which succeeds for only one of several waiting starts. */
function discard(file) {
  const aside = `${file}.${process.pid}`;
  try {
    renameSync(file, aside);
    rmSync(aside);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
