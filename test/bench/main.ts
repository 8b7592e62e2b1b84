import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { arch, availableParallelism, cpus, platform, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import pLimit from 'p-limit';
import pg from 'pg';
import { createClient } from '#libs/client/client.js';
import { startPostgres } from '../support/built.ts';
import type { Measured, Order } from './load.js';

/*
 * What a verified, durably recorded request costs, as a ratio to the bare web framework: all side by side in one run, so
 * that the ratio means something on any machine. The server measured has core 0; PostgreSQL, the worker and the load
 * generator share core 1.
 */
const { values: options } = parseArgs({
  options: {
    duration: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '32,128,256' },
    json: { type: 'boolean', default: false },
  },
});
const SECONDS = Number(options.duration);
const ROUNDS = Number(options.rounds);
const CONNECTIONS = options.connections.split(',').map(Number);
const ORGANIZATIONS = 50;
const KEYS_EACH = 20;
const MAKING_AT_ONCE = 4;
const INGESTED_WITHIN_MS = 60_000;
const SERVER_CORE = '0';
const REST_CORE = '1';

interface Subject {
  readonly name: string;
  readonly url: string;
  readonly path: string;
  readonly headers: Record<string, string>[];
  /** How many uses the trail shows. */
  readonly recorded?: () => Promise<number>;
}

interface Row {
  readonly subject: string;
  readonly connections: number;
  readonly requestsPerSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly ratio: number;
}

const children: ChildProcess[] = [];
const directory = await mkdtemp(join(tmpdir(), 'keyledger-bench-'));
// Under root PostgreSQL runs as another user, who has to reach its data.
await chmod(directory, 0o711);
const pinned = pinToCore(REST_CORE);
const postgres = await startPostgres(directory);
const sql = new pg.Client({ connectionString: postgres.databaseUrl });
await sql.connect();
try {
  const subjects = await startSubjects();
  const machine = await describeMachine();
  if (!options.json) for (const [name, value] of Object.entries(machine)) print(`${`${name}:`.padEnd(20)}${value}`);
  const rows: Row[] = [];
  for (const connections of CONNECTIONS) {
    const measured = await measure(subjects, connections);
    if (!options.json) printTable(measured);
    rows.push(...measured);
  }
  if (options.json) print(JSON.stringify({ machine, rows }, null, 2));
} finally {
  for (const child of children) child.kill('SIGKILL');
  await sql.end();
  await postgres.stop();
  await rm(directory, { recursive: true, force: true });
}

/** Rounds of all subjects by turns, so that what the machine does meanwhile falls on all alike; then medians. */
async function measure(subjects: readonly Subject[], connections: number): Promise<Row[]> {
  const amounts = new Map<Subject, number>();
  for (const subject of subjects) {
    // Twice: the first warms it up, the second tells how much it does in the time.
    for (const seconds of [1, 1]) {
      const { ok, seconds: took } = await run(subject, connections, amounts.get(subject) ?? connections * 50);
      amounts.set(subject, Math.ceil((ok / took) * seconds));
    }
  }
  const runs = subjects.map((): Measured[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, subject] of subjects.entries()) {
      runs[index]!.push(await run(subject, connections, Math.ceil(amounts.get(subject)! * SECONDS)));
    }
  }
  const rate = ({ ok, seconds }: Measured) => ok / seconds;
  return subjects.map((subject, index) => {
    const own = runs[index]!;
    return {
      subject: subject.name,
      connections,
      requestsPerSecond: median(own.map(rate)),
      p50: median(own.map(({ p50 }) => p50)),
      p99: median(own.map(({ p99 }) => p99)),
      ratio: median(own.map((measured, round) => rate(measured) / rate(runs[0]![round]!))),
    };
  });
}

async function run(subject: Subject, connections: number, amount: number): Promise<Measured> {
  const before = await subject.recorded?.();
  const order: Order = { ...subject, connections, amount: Math.ceil(amount / connections) * connections };
  const child = start(local('load.ts'), {}, REST_CORE);
  child.send(order);
  const measured = await said<Measured>(child);
  if (measured.failed > 0) throw new Error(`${subject.name}: ${measured.failed} requests were not answered with 200`);
  if (subject.recorded) await requireRecorded(subject.recorded, before! + measured.ok);
  return measured;
}

/** A figure without its records would be worth nothing. */
async function requireRecorded(recorded: () => Promise<number>, expected: number): Promise<void> {
  const deadline = performance.now() + INGESTED_WITHIN_MS;
  let found = await recorded();
  for (; found < expected && performance.now() < deadline; found = await recorded()) await sleep(100);
  if (found !== expected) throw new Error(`${expected} requests were answered and ${found} uses are in the trail`);
}

async function startSubjects(): Promise<Subject[]> {
  const env = { KEYLEDGER_SECRET: randomUUID() + randomUUID(), DATABASE_URL: postgres.databaseUrl, LOG_LEVEL: 'error' };
  const [fastify, nest, api] = await Promise.all([
    ready(start(local('fastify-hello.ts'), {}, SERVER_CORE)),
    ready(start(local('nest-hello.ts'), {}, SERVER_CORE)),
    ready(start(local('../../dist/apps/api/main.js'), { ...env, PORT: '0', REGISTRATION: 'open' }, SERVER_CORE)),
    ready(start(local('../../dist/apps/worker/main.js'), env, REST_CORE)),
  ]);
  const headers = (await makeKeys(api)).map((key) => ({ 'x-api-key': key }));
  return [
    { name: 'fastify', url: fastify, path: '/', headers: [{}] },
    { name: 'nest', url: nest, path: '/', headers: [{}] },
    { name: 'whoami', url: api, path: '/api/v1/whoami', headers, recorded: countUses },
    { name: 'authz', url: api, path: '/authz?scope=triggers:read', headers, recorded: countUses },
  ];
}

/** Through the API, and each used once: from then on no request waits for Argon2id. */
async function makeKeys(baseUrl: string): Promise<string[]> {
  const limit = pLimit(MAKING_AT_ONCE);
  const makeFor = async () => {
    const account = { email: `${randomUUID()}@example.com`, password: `quiet ${randomUUID()} harbour` };
    await createClient({ baseUrl }).auth.register({ body: { ...account, name: 'Ada Lovelace' } });
    const { access_token: accessToken } = await createClient({ baseUrl }).auth.login({ body: account });
    const own: string[] = [];
    for (let index = 0; index < KEYS_EACH; index++) {
      const body = { name: `Key ${index}`, scopes: ['triggers:read'] };
      const { key } = await createClient({ baseUrl, accessToken }).apiKeys.create({ body });
      await createClient({ baseUrl, apiKey: key }).auth.whoami();
      own.push(key);
    }
    return own;
  };
  const keys = (await Promise.all(Array.from({ length: ORGANIZATIONS }, () => limit(makeFor)))).flat();
  await requireRecorded(countUses, keys.length);
  return keys;
}

async function countUses(): Promise<number> {
  const { rows } = await sql.query<{ uses: number }>(
    "SELECT count(*)::int AS uses FROM audit_event WHERE type = 'api_key.used'",
  );
  return rows[0]!.uses;
}

function local(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}

function start(path: string, env: Record<string, string>, core: string): ChildProcess {
  const command = [...(pinned ? ['taskset', '-c', core] : []), process.execPath, path];
  const child = spawn(command[0]!, command.slice(1), {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  children.push(child);
  return child;
}

async function ready(child: ChildProcess): Promise<string> {
  return (await said<{ url: string }>(child)).url;
}

/** The one message of a process, which has to live long enough to send it. */
async function said<T extends object>(child: ChildProcess): Promise<T> {
  const [message] = (await Promise.race([once(child, 'message'), once(child, 'exit')])) as [T | number | null];
  if (typeof message !== 'object' || !message) throw new Error(`It ended by itself: ${child.spawnargs.join(' ')}`);
  return message;
}

/** What we start inherits it, PostgreSQL too. Where there is no taskset nothing is pinned, and the table says so. */
function pinToCore(core: string): boolean {
  if (availableParallelism() < 2) return false;
  try {
    execFileSync('taskset', ['-apc', core, String(process.pid)], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

async function describeMachine() {
  const { rows } = await sql.query<{ version: string; fsync: string; commit: string }>(
    `SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync,
            current_setting('synchronous_commit') AS commit`,
  );
  const { version, fsync, commit } = rows[0]!;
  const commitMs = (await commitTimes()).map((time) => time.toFixed(2)).join(' / ');
  return {
    machine: `${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, ${platform()} ${release()} ${arch()}`,
    node: process.version,
    postgresql: `${version}${process.env['TEST_DATABASE_URL'] ? ' (given, not pinned)' : ''}`,
    fsync,
    synchronous_commit: commit,
    'commit p50/p99': `${commitMs} ms, one row inserted, nothing else going on`,
    cores: pinned ? 'server measured on 0; PostgreSQL, worker and load generator on 1' : 'not pinned',
    keys: `${ORGANIZATIONS * KEYS_EACH} of ${ORGANIZATIONS} organizations in rotation`,
    rounds: `${ROUNDS} of about ${SECONDS} s, medians`,
  };
}

/** What the disk costs each flush of recorded uses, whatever we do. */
async function commitTimes(): Promise<[number, number]> {
  await sql.query('CREATE TABLE bench_commit (id int)');
  const times: number[] = [];
  for (let id = 0; id < 200; id++) {
    const startedAt = performance.now();
    await sql.query('INSERT INTO bench_commit VALUES ($1)', [id]);
    times.push(performance.now() - startedAt);
  }
  times.sort((a, b) => a - b);
  return [times[100]!, times[198]!];
}

function printTable(rows: readonly Row[]): void {
  print('');
  print(['connections', 'subject', 'requests/s', 'p50 ms', 'p99 ms', 'to fastify'].map(cell).join(''));
  for (const { connections, subject, requestsPerSecond, p50, p99, ratio } of rows) {
    const cells = [
      connections,
      subject,
      Math.round(requestsPerSecond),
      p50.toFixed(2),
      p99.toFixed(2),
      ratio.toFixed(2),
    ];
    print(cells.map(cell).join(''));
  }
}

function cell(value: string | number): string {
  return String(value).padStart(12);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
