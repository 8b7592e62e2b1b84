import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '../support/eventually.js';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LAUNCHER = join(ROOT, 'apps', 'launcher', 'launcher.mjs');

const READY_WITHIN_MS = 60_000;
const STOPPED_WITHIN_MS = 15_000;

export async function remove(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
}

/** A command that a user started: its process, its output so far, and how it ended. */
export class Started {
  readonly process: ChildProcess;
  output = '';
  readonly ended: Promise<number | NodeJS.Signals | null>;

  constructor(command: string, args: string[], env: NodeJS.ProcessEnv, options: SpawnOptions = {}) {
    // The process has its own process group, as in a shell, and none of the variables that Jest and npm set.
    this.process = spawn(command, args, {
      cwd: ROOT,
      ...options,
      env: { ...cleanEnvironment(), ...env },
      detached: true,
    });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
    this.ended = new Promise((resolve) => this.process.once('close', (code, signal) => resolve(code ?? signal)));
  }

  get pid(): number {
    return this.process.pid!;
  }

  /** @returns the address at which the launcher listens */
  async ready(): Promise<string> {
    const url = await Promise.race([this.ended.then(() => undefined), this.#prints(/is ready at (\S+)/)]);
    if (url) return url;
    throw new Error(`It is not ready, and has printed:\n${this.output}`);
  }

  async #prints(pattern: RegExp): Promise<string | undefined> {
    const found = await eventually(async () => pattern.exec(this.output), Boolean, READY_WITHIN_MS);
    return found?.[1];
  }

  /** Sends the signal to the whole process group, as a terminal does. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal);
  }
}

export function startLauncher(mode: string, env: NodeJS.ProcessEnv, ...args: string[]): Started {
  return new Started(process.execPath, [LAUNCHER, mode, ...args], env);
}

function cleanEnvironment(): NodeJS.ProcessEnv {
  const unwanted = /^(npm_|NODE_OPTIONS$|NODE_ENV$|JEST_|KEYLEDGER_|DATABASE_URL$|REDIS_URL$|PORT$|HOST$|DATA_DIR$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !unwanted.test(name)));
}

export interface Found {
  readonly pid: number;
  readonly command: string;
}

/** Every process that has this folder in its command line or its environment. */
export async function processesOf(directory: string): Promise<Found[]> {
  const pids = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  return pids.map((pid) => look(pid, directory)).filter((process) => process !== undefined);
}

/** Reads at once: these files are in memory, and to wait for each would take twice the CPU time. */
function look(pid: number, directory: string): Found | undefined {
  const command = readText(`/proc/${pid}/cmdline`);
  const environment = readText(`/proc/${pid}/environ`);
  if (pid === process.pid || !(command + environment).includes(directory)) return undefined;
  return { pid, command: command.replaceAll('\0', ' ').trim() };
}

/** An unreadable file belongs to a process that has ended or that another user owns. Neither matters here. */
function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

export async function processOf(directory: string, command: RegExp): Promise<number> {
  const found = (await processesOf(directory)).filter((process) => command.test(process.command));
  if (found.length !== 1)
    throw new Error(`Not one process matches ${command}: ${JSON.stringify(await processesOf(directory))}`);
  return found[0]!.pid;
}

/** @returns the processes that are left after a while */
export function leftOf(directory: string): Promise<Found[]> {
  return eventually(
    () => processesOf(directory),
    (left) => left.length === 0,
    STOPPED_WITHIN_MS,
  );
}
