import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync } from 'node:fs';
import { EXIT_CONFIG } from '#libs/platform/config.js';
import { openLog } from './logs.js';

interface ServiceOptions {
  readonly name: string;
  readonly script: string;
  readonly env: NodeJS.ProcessEnv;
  /** Receives the service's standard output, which is its log. */
  readonly logFile: string;
  readonly log: (line: string) => void;
}

/** A service that cannot continue. The message is empty if the service has reported the reason itself. */
export class ServiceFailed extends Error {
  constructor(
    message: string,
    readonly exitCode: number,
  ) {
    super(message);
  }
}

const FIRST_BACKOFF_MS = 250;
const LONGEST_BACKOFF_MS = 10_000;
/** After a run of this length the backoff starts again from the beginning. */
const GOOD_RUN_MS = 60_000;
/** A service has 10 s for its own shutdown. */
const STOP_DEADLINE_MS = 15_000;

/** One child process, restarted whenever it dies. It must stop on SIGTERM, and when the supervisor dies. */
export class Service {
  /** Resolves with the service's URL, once it first serves requests. */
  readonly ready: Promise<string | undefined>;
  /** Rejects if the service refused its settings or died before it first served: a restart cannot help. */
  readonly failed: Promise<never>;

  readonly #options: ServiceOptions;
  #becomeReady!: (url: string | undefined) => void;
  #fail!: (reason: ServiceFailed) => void;
  #child: ChildProcess | undefined;
  #stopping = false;
  #wasReady = false;
  #backoff = FIRST_BACKOFF_MS;
  #restart: NodeJS.Timeout | undefined;

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.ready = new Promise((resolve) => (this.#becomeReady = resolve));
    this.failed = new Promise((_, reject) => (this.#fail = reject));
    // Callers that wait for it get the error; otherwise it must not count as an unhandled rejection.
    this.failed.catch(() => undefined);
    this.#start();
  }

  #start(): void {
    const output = openLog(this.#options.logFile);
    // Detached, because Ctrl-C in a terminal signals the whole process group, and the supervisor stops services in
    // order.
    const child = spawn(process.execPath, [...process.execArgv, this.#options.script], {
      env: this.#options.env,
      stdio: ['ignore', output, 'inherit', 'ipc'],
      detached: true,
    });
    closeSync(output);
    this.#child = child;
    const began = Date.now();
    child.on('message', (message: { type?: string; url?: string }) => {
      if (message.type !== 'ready') return;
      this.#wasReady = true;
      this.#becomeReady(message.url);
    });
    child.once('exit', (code, signal) => this.#ended(code, signal, Date.now() - began));
    child.once('error', (error) =>
      this.#fail(new ServiceFailed(`The ${this.#options.name} cannot be started: ${error.message}.`, 1)),
    );
  }

  #ended(code: number | null, signal: NodeJS.Signals | null, ranFor: number): void {
    this.#child = undefined;
    if (this.#stopping) return;
    const { name, log, logFile } = this.#options;
    const how = `The ${name} ended unexpectedly (${signal ?? `code ${code}`})`;
    if (code === EXIT_CONFIG) return this.#fail(new ServiceFailed('', EXIT_CONFIG));
    if (!this.#wasReady) return this.#fail(new ServiceFailed(`${how} before it was ready; its log is ${logFile}.`, 1));
    if (ranFor >= GOOD_RUN_MS) this.#backoff = FIRST_BACKOFF_MS;
    log(`${how}; restarting it in ${this.#backoff / 1000} s. Its log: ${logFile}`);
    this.#restart = setTimeout(() => this.#start(), this.#backoff);
    this.#backoff = Math.min(this.#backoff * 2, LONGEST_BACKOFF_MS);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (!child) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const timer = setTimeout(() => this.kill(), STOP_DEADLINE_MS);
    await ended;
    clearTimeout(timer);
  }

  kill(): void {
    this.#child?.kill('SIGKILL');
  }
}
