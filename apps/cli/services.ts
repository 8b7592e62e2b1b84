import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync } from 'node:fs';
import { EXIT_CONFIG } from '#libs/platform/config.js';
import { openLog } from './logs.js';

interface ServiceOptions {
  readonly name: string;
  readonly script: string;
  readonly env: NodeJS.ProcessEnv;
  /** Takes what the service prints on standard output: its log. */
  readonly logFile: string;
  readonly log: (line: string) => void;
}

/** A service that cannot go on, and why: empty when it has said so itself. */
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
/** One that ran as long as this was well: its next death is a new story. */
const GOOD_RUN_MS = 60_000;
/** A service gives itself 10 s. */
const STOP_DEADLINE_MS = 15_000;

/** One child process, started again whenever it dies. It must know how to stop on SIGTERM, and when we are gone. */
export class Service {
  /** Where it can be reached, once it first serves. */
  readonly ready: Promise<string | undefined>;
  /** Rejects when it refused its settings, or died before it ever served: starting it again cannot help. */
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
    // Whoever waits for it hears of it; when nobody does any more, it is no news.
    this.failed.catch(() => undefined);
    this.#start();
  }

  #start(): void {
    const output = openLog(this.#options.logFile);
    // Detached: a terminal's Ctrl-C goes to its whole process group, and the order of stopping is ours.
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
      this.#fail(new ServiceFailed(`The ${this.#options.name} cannot be run: ${error.message}.`, 1)),
    );
  }

  #ended(code: number | null, signal: NodeJS.Signals | null, ranFor: number): void {
    this.#child = undefined;
    if (this.#stopping) return;
    const { name, log, logFile } = this.#options;
    const how = `The ${name} ended by itself (${signal ?? `code ${code}`})`;
    if (code === EXIT_CONFIG) return this.#fail(new ServiceFailed('', EXIT_CONFIG));
    if (!this.#wasReady) return this.#fail(new ServiceFailed(`${how} before it was ready; its log is ${logFile}.`, 1));
    if (ranFor >= GOOD_RUN_MS) this.#backoff = FIRST_BACKOFF_MS;
    log(`${how}; starting it again in ${this.#backoff / 1000} s. Its log: ${logFile}`);
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
