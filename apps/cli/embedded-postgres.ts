import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { ConfigError } from '#libs/platform/config.js';
import { keptSecret } from './kept-secret.js';
import { findPlace, postgresEnvironment, type Account, type Place } from './postgres-place.js';
import { isAlive, isPostgresOf, LockHeld, takeLock } from './processes.js';
import { freePort } from './free-port.js';

export interface EmbeddedPostgresOptions {
  /** Holds the server's data, its password and its log. Created if missing. */
  readonly dataDirectory: string;
  readonly log?: (line: string) => void;
  /** Further settings of the server, as in `postgresql.conf`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Random by default. */
  readonly port?: number;
  readonly logFile?: string;
}

export interface EmbeddedPostgres {
  /** Connection URL of the superuser, for the database `keyledger`. */
  readonly adminUrl: string;
  readonly port: number;
  readonly pid: number;
  /** The server's own data directory, which may be outside the given directory. */
  readonly dataDirectory: string;
  /** Resolves when the server has ended, by `stop` or by itself. */
  readonly ended: Promise<void>;
  /** Shuts down cleanly, or at once: then the next start replays the log. Committed data is safe either way. */
  stop(how?: 'at once'): Promise<void>;
}

/** Created right before the server's data: if this file exists, data exists or was about to. */
export const PASSWORD_FILE = 'postgres-password';
const DATABASE = 'keyledger';
const ADMIN = 'postgres';
/** SQLSTATE codes. */
const WRONG_PASSWORD = '28P01';
const NO_DATABASE = '3D000';
const POLL_MS = 10;
const STOP_DEADLINE_MS = 30_000;
/** How long the server outlives a killed supervisor, so that the other processes can stop cleanly. */
const ORPHAN_GRACE_S = 2;
const BIND_ATTEMPTS = 5;

/** Starts an embedded PostgreSQL server on a loopback port. Creates its data if there is none. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => undefined);
  const directory = prepareDirectory(options.dataDirectory);
  const place = findPlace(directory, log);
  const lock = takeClusterLock(place.cluster);
  try {
    const password = keptSecret(join(directory, PASSWORD_FILE));
    await stopOrphan(place.cluster, log);
    if (!isInitialised(place.cluster)) await initialise(place, password);
    requireOwner(place);
    const logFile = options.logFile ?? join(directory, 'postgres.log');
    const server = await launch(place, { logFile, port: options.port, settings: options.settings ?? {} });
    const adminUrl = `postgres://${ADMIN}:${password}@127.0.0.1:${server.port}/${DATABASE}`;
    void server.ended.then(() => lock.release());
    await makeDatabase(adminUrl).catch(async (error: Error & { code?: string }) => {
      await server.stop();
      throw error.code === WRONG_PASSWORD ? wrongPassword(directory, place.cluster) : error;
    });
    return { ...server, adminUrl, dataDirectory: place.cluster };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function wrongPassword(directory: string, cluster: string): ConfigError {
  return new ConfigError(
    `DATA_DIR is incomplete: ${join(directory, PASSWORD_FILE)} does not hold the password of the data in ${cluster}; ` +
      `restore the file, or set DATA_DIR to another folder.`,
  );
}

/** Only the user can enter the directory. If the user is root, PostgreSQL's account can pass through as well. */
export function prepareDirectory(path: string): string {
  try {
    mkdirSync(path, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 });
    return realpathSync(path);
  } catch (error) {
    throw new ConfigError(`DATA_DIR must be a folder that can be created and written: ${(error as Error).message}.`);
  }
}

function takeClusterLock(cluster: string): { release(): void } {
  mkdirSync(dirname(cluster), { recursive: true });
  try {
    return takeLock(`${cluster}.lock`);
  } catch (error) {
    if (!(error instanceof LockHeld)) throw error;
    throw new ConfigError(
      `DATA_DIR is in use: process ${error.pid} runs the PostgreSQL server in ${cluster}; stop that process first.`,
    );
  }
}

function isInitialised(cluster: string): boolean {
  return existsSync(join(cluster, 'PG_VERSION'));
}

/**
 * Stops a server that survived its killed parent. `postmaster.pid` may also name an unrelated process that got the same
 * id later; then the file would only block the start, and is removed.
 */
async function stopOrphan(cluster: string, log: (line: string) => void): Promise<void> {
  const pid = Number(statusOf(cluster)[0]);
  if (!pid || !isAlive(pid)) return;
  if (!isPostgresOf(pid, cluster)) return rmSync(join(cluster, 'postmaster.pid'));
  log(`Stopping the PostgreSQL server that an earlier start left behind (process ${pid}).`);
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    process.kill(pid, signal);
    if (await becomesTrue(() => !isPostgresOf(pid, cluster), STOP_DEADLINE_MS)) return;
  }
  throw new ConfigError(
    `DATA_DIR is in use: the PostgreSQL server in ${cluster} does not stop (process ${pid}); end it first.`,
  );
}

async function becomesTrue(condition: () => boolean, milliseconds: number): Promise<boolean> {
  for (const deadline = Date.now() + milliseconds; Date.now() < deadline; await sleep(POLL_MS)) {
    if (condition()) return true;
  }
  return false;
}

/** Creates the data in another folder and renames it. After a crash, the next start removes the `.new-…` folder. */
async function initialise(place: Place, password: string): Promise<void> {
  const { cluster, account, binaries } = place;
  const parent = dirname(cluster);
  for (const name of readdirSync(parent)) {
    if (name.startsWith(`${basename(cluster)}.new-`)) rmSync(join(parent, name), { recursive: true, force: true });
  }
  const fresh = `${cluster}.new-${process.pid}`;
  mkdirSync(fresh, { mode: 0o700 });
  const passwordFile = `${fresh}.password`;
  writeFileSync(passwordFile, password, { mode: 0o600 });
  giveTo(account, fresh, passwordFile);
  try {
    await run(join(binaries, 'initdb'), account, [
      `--pgdata=${fresh}`,
      `--username=${ADMIN}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--data-checksums',
      '--no-instructions',
    ]);
  } finally {
    rmSync(passwordFile);
  }
  renameSync(fresh, cluster);
}

function giveTo(account: Account | undefined, ...paths: string[]): void {
  if (account) for (const path of paths) chownSync(path, account.uid, account.gid);
}

async function run(command: string, account: Account | undefined, args: string[]): Promise<void> {
  const child = spawn(command, args, { ...background(account), stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${basename(command)} failed with code ${code}:\n${output}`);
}

/** Detached, because Ctrl-C in a terminal signals the whole process group, and only the supervisor stops the server. */
function background(account: Account | undefined) {
  return { cwd: '/', env: postgresEnvironment(), detached: true, ...account };
}

function requireOwner({ cluster, account }: Place): void {
  const owner = statSync(cluster).uid;
  const expected = account?.uid ?? process.getuid?.() ?? owner;
  if (owner === expected) return;
  throw new ConfigError(
    `DATA_DIR holds data of another user: ${cluster} belongs to uid ${owner} and PostgreSQL would run as uid ${expected}; ` +
      `start as the user who created it, or set DATA_DIR to another folder.`,
  );
}

interface LaunchOptions {
  readonly logFile: string;
  readonly port: number | undefined;
  readonly settings: Readonly<Record<string, string>>;
}

type Server = Pick<EmbeddedPostgres, 'port' | 'pid' | 'ended' | 'stop'>;

async function launch(place: Place, options: LaunchOptions): Promise<Server> {
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const logStart = existsSync(options.logFile) ? statSync(options.logFile).size : 0;
    const server = spawnServer(place, port, options);
    if (await isReady(place.cluster, server)) return server;
    const reason = readFileSync(options.logFile, 'utf8').slice(logStart);
    // Another process took the port meanwhile, or some processes of a killed server still run.
    const passing = /could not create any TCP\/IP sockets|still in use/.test(reason);
    if (!passing || attempt === BIND_ATTEMPTS) {
      throw new Error(
        `PostgreSQL did not start; its log ${options.logFile} ends with:\n${reason.trim().split('\n').slice(-5).join('\n')}`,
      );
    }
    await sleep(attempt * 500);
  }
}

function spawnServer({ binaries, cluster, account }: Place, port: number, options: LaunchOptions): Server {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    cluster_name: 'keyledger',
    // Applies to logged slow statements as well: parameters hold password hashes, names and e-mail addresses.
    log_parameter_max_length: '0',
    ...options.settings,
  };
  const args = ['-D', cluster, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  const output = openSync(options.logFile, 'a', 0o600);
  const child = spawn(join(binaries, 'postgres'), args, { ...background(account), stdio: ['ignore', output, output] });
  closeSync(output);
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  // Without an id the process never started, and `ended` resolves.
  const pid = child.pid ?? 0;
  if (pid !== 0) guard(pid, cluster, account, ended);
  return { port, pid, ended, stop: (how) => stop(child, ended, how) };
}

/**
 * Starts a small shell that stops the server when this process dies in any way: its input then ends. It leaves a new
 * server in the same directory alone. If the shell is killed as well, the next start stops the server.
 */
function guard(pid: number, cluster: string, account: Account | undefined, ended: Promise<void>): void {
  const script = `read -r _; sleep ${ORPHAN_GRACE_S}; read -r pid <"$1/postmaster.pid" && [ "$pid" = "$0" ] && kill -INT "$0"`;
  const shell = spawn('/bin/sh', ['-c', script, String(pid), cluster], {
    ...background(account),
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // The shell must not keep this process alive.
  shell.unref();
  shell.once('error', () => undefined);
  void ended.then(() => shell.kill('SIGKILL'));
}

/** The superuser's connection URL of the server that runs on a data directory; undefined if none runs. */
export function runningPostgres(dataDirectory: string): string | undefined {
  try {
    const cluster = realpathSync(join(dataDirectory, 'postgres'));
    const [pid, , , port] = statusOf(cluster);
    if (!isPostgresOf(Number(pid), cluster)) return undefined;
    const password = readFileSync(join(dataDirectory, PASSWORD_FILE), 'utf8').trim();
    return `postgres://${ADMIN}:${password}@127.0.0.1:${port}/${DATABASE}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The server writes its state into the last line of `postmaster.pid`. */
async function isReady(cluster: string, server: Server): Promise<boolean> {
  const ended = server.ended.then(() => true);
  for (;;) {
    const status = statusOf(cluster);
    if (Number(status[0]) === server.pid && status[7]?.trim() === 'ready') return true;
    if (await Promise.race([ended, sleep(POLL_MS, false)])) return false;
  }
}

/** The lines of `postmaster.pid`: process id, directory, start time, port, …, state. */
function statusOf(cluster: string): string[] {
  try {
    return readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function stop(child: ChildProcess, ended: Promise<void>, how?: 'at once'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  // SIGINT is PostgreSQL's fast shutdown: it ends the sessions and writes a checkpoint. After SIGQUIT, the next start
  // replays the log.
  child.kill(how === 'at once' ? 'SIGQUIT' : 'SIGINT');
  const timer = setTimeout(() => child.kill('SIGQUIT'), STOP_DEADLINE_MS);
  await ended;
  clearTimeout(timer);
}

/** Creates the database if it is missing, also if an earlier start crashed after `initdb`. */
async function makeDatabase(adminUrl: string): Promise<void> {
  const missing = await query(adminUrl, 'SELECT 1').then(
    () => false,
    (error: { code?: string }) => {
      if (error.code === NO_DATABASE) return true;
      throw error as Error;
    },
  );
  if (!missing) return;
  const template = new URL(adminUrl);
  template.pathname = '/postgres';
  await query(template.href, `CREATE DATABASE ${DATABASE}`);
}

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
