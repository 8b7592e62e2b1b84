import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { npmCi } from './npm.mjs';

/**
 * The download of `npm ci` with an empty cache on linux-x64; the lockfile has no sizes. Measured from the files in the
 * cache afterwards: 741 packages of 184 MB, and 12 MB of package metadata, compressed. Nearly half of it is Node and
 * PostgreSQL. Measure again after changing dependencies.
 */
const DOWNLOAD_MB = 200;
const marker = (root) => join(root, 'node_modules', '.keyledger-installed');
const npmsList = (root) => join(root, 'node_modules', '.package-lock.json');

/** An installation writes the marker last, so an interrupted one has none. */
export function isInstalled(root) {
  return readOrEmpty(marker(root)) === wanted(root) || adopt(root);
}

export async function install(root, lock) {
  const total = Object.values(readLockfile(root).packages).filter(isForThisPlatform).length - 1;
  console.log(`Installing ${total} packages: about ${DOWNLOAD_MB} MB to download, less the packages in npm's cache.`);
  // A crash after this point leaves neither the marker nor npm's list, so that the next start installs again.
  rmSync(marker(root), { force: true });
  rmSync(npmsList(root), { force: true });
  await npmCi(root, lock, total);
  writeMarker(root);
}

/** Accepts the user's own `npm ci` or `npm install`: npm writes its list of installed packages last. */
function adopt(root) {
  const list = readOrEmpty(npmsList(root));
  if (list === '') return false;
  const present = JSON.parse(list).packages;
  const complete = Object.entries(readLockfile(root).packages).every(
    ([path, entry]) =>
      path === '' || present[path]?.integrity === entry.integrity || (entry.optional && !isMeantForThisPlatform(entry)),
  );
  if (complete) writeMarker(root);
  return complete;
}

function writeMarker(root) {
  writeFileSync(marker(root), wanted(root));
}

/** Includes the platform: a node_modules from another platform, as in a mounted folder, must not be used. */
function wanted(root) {
  const lockfile = readFileSync(join(root, 'package-lock.json'));
  return `${process.platform}-${process.arch} ${createHash('sha256').update(lockfile).digest('hex')}\n`;
}

function readLockfile(root) {
  return JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
}

/** Whether a list of allowed names, or of excluded names with a `!`, admits the value. */
function allows(names, value) {
  const list = [names ?? []].flat();
  return list.every((name) => name.startsWith('!')) ? !list.includes(`!${value}`) : list.includes(value);
}

function isForThisPlatform({ os, cpu, libc }) {
  return allows(os, process.platform) && allows(cpu, process.arch) && allows(libc, 'glibc');
}

/** An optional package without platform lists belongs to a package of another platform, and npm skips both. */
function isMeantForThisPlatform(entry) {
  return Boolean(entry.os ?? entry.cpu ?? entry.libc) && isForThisPlatform(entry);
}

function readOrEmpty(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return '';
    throw error;
  }
}
