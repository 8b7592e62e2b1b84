import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type pg from 'pg';
import { survivingPool } from '#libs/database/database.js';
import {
  CHEAP_ARGON2ID,
  COMPILE_CACHE,
  createDatabase,
  TEST_SECRET,
  type TestDatabase,
  type TestServer,
} from '../support/deployment.js';
import { freePort } from '../../apps/cli/free-port.js';

const DIST = join(import.meta.dirname, '../../dist/apps');

/** A process of the deployment. It can be killed at any moment and restarts at the same address. */
class Service {
  /** The output of every process that this service has had. */
  output = '';
  #child: ChildProcess;
  #ready: Promise<unknown>;
  #ending = false;

  constructor(
    private readonly app: 'api' | 'worker',
    private readonly env: Record<string, string>,
    private readonly onFailure: (why: string) => void,
    private readonly execArgv: string[],
  ) {
    [this.#child, this.#ready] = this.#start();
  }

  get url(): string {
    return `http://127.0.0.1:${this.env['PORT']}`;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Resolves when the current process is ready, or has exited. */
  get ready(): Promise<unknown> {
    return this.#ready;
  }

  /** Sends SIGKILL, whatever the process does, and starts a new process at once. */
  async killAndRestart(): Promise<void> {
    await this.#end('SIGKILL');
    this.#ending = false;
    [this.#child, this.#ready] = this.#start();
  }

  /** @throws Error if the process did not end by itself, for example because it still waited for something */
  async stop(): Promise<void> {
    const child = this.#child;
    const hasEnded = child.exitCode !== null || child.signalCode !== null;
    await this.#end('SIGTERM');
    if (hasEnded || child.exitCode === 0) return;
    throw new Error(
      `${this.app} did not stop in order (${child.signalCode ?? child.exitCode}): ${this.output.slice(-4_000)}`,
    );
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    this.#ending = true;
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  #start(): [ChildProcess, Promise<unknown>] {
    const child = fork(join(DIST, this.app, 'main.js'), {
      env: { ...COMPILE_CACHE, PATH: process.env['PATH'], ...this.env },
      execArgv: this.execArgv,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
    // Only the test may end the process. A process that exits for another reason fails the test.
    child.once('exit', (code, signal) => {
      if (!this.#ending)
        this.onFailure(`${this.app} ended unexpectedly (${signal ?? code}): ${this.output.slice(-4_000)}`);
    });
    return [child, Promise.race([once(child, 'message'), once(child, 'exit')])];
  }
}

/** A deployment of real processes on its own database. */
export interface Processes {
  readonly apis: readonly Service[];
  /** The first worker. */
  readonly worker: Service;
  readonly workers: readonly Service[];
  readonly database: TestDatabase;
  /** Connects as the superuser. */
  readonly sql: pg.Pool;
  /** Processes that ended by themselves. */
  readonly failures: readonly string[];
  stop(): Promise<void>;
}

export async function startProcesses(options: {
  apis: number;
  /** Default: one. */
  workers?: number;
  env?: Record<string, string>;
  /** The test's own server, instead of the shared one. */
  server?: TestServer;
  /** Argon2id with the cost that it has in production. */
  realArgon2id?: boolean;
}): Promise<Processes> {
  const database = await createDatabase(options.server);
  const failures: string[] = [];
  const env = {
    HOST: '127.0.0.1',
    ANCHOR_FILE: database.anchorFile,
    PUBLIC_URL: 'http://keyledger.test',
    KEYLEDGER_SECRET: TEST_SECRET,
    REGISTRATION: 'open',
    LOG_LEVEL: 'error',
    ...options.env,
  };
  const onFailure = (why: string) => failures.push(why);
  const execArgv = options.realArgon2id ? [] : ['--import', CHEAP_ARGON2ID];
  const ports = await Promise.all(Array.from({ length: options.apis }, freePort));
  const apis = ports.map(
    (port) => new Service('api', { ...env, PORT: String(port), DATABASE_URL: database.apiUrl }, onFailure, execArgv),
  );
  const workers = Array.from(
    { length: options.workers ?? 1 },
    () => new Service('worker', { ...env, DATABASE_URL: database.workerUrl }, onFailure, execArgv),
  );
  const sql = survivingPool({ connectionString: database.adminUrl });
  const all = [...apis, ...workers];
  await Promise.all(all.map((service) => service.ready));
  return {
    apis,
    worker: workers[0]!,
    workers,
    database,
    sql,
    failures,
    async stop() {
      await Promise.all(all.map((service) => service.stop()));
      await sql.end();
      await database.drop();
    },
  };
}
