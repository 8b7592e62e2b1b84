import { execFile, execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The core of the measured server. */
export const SERVER_CORE = '0';
/** The core of PostgreSQL, the worker, the load generator and this process. */
export const REST_CORE = '1';

const STOP_WITHIN_MS = 30_000;

/** The processes of a run, each pinned to its core. */
export class Processes {
  readonly #children = new Set<ChildProcess>();
  /** Without taskset, nothing is pinned. */
  readonly pinned = availableParallelism() >= 2 && pin(process.pid, REST_CORE);

  /** @param path a script, relative to the folder of this file */
  start(path: string, env: Record<string, string>, core: string): ChildProcess {
    const script = fileURLToPath(new URL(path, import.meta.url));
    const [command, args] = this.#on(core, process.execPath, [script]);
    return this.#keep(
      spawn(command, args, {
        env: { PATH: process.env['PATH'], ...env },
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      }),
    );
  }

  /** Starts a server that is not a part of Keyledger. */
  command(name: string, options: readonly string[], core: string): ChildProcess {
    const [command, args] = this.#on(core, name, options);
    return this.#keep(spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] }));
  }

  #keep(child: ChildProcess): ChildProcess {
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  /**
   * Runs a command that is not a part of Keyledger.
   * @returns what it prints
   */
  async output(name: string, options: readonly string[], core: string): Promise<string> {
    const [command, args] = this.#on(core, name, options);
    try {
      return (await promisify(execFile)(command, args)).stdout;
    } catch (error) {
      if (isInstalled(name)) throw error;
      throw new Error(`${name} is not installed. On Debian: apt-get install ${name}`, { cause: error });
    }
  }

  #on(core: string, name: string, options: readonly string[]): [string, readonly string[]] {
    return this.pinned ? ['taskset', ['-c', core, name, ...options]] : [name, options];
  }

  pin(child: ChildProcess, core: string): void {
    if (this.pinned) pin(child.pid!, core);
  }

  /** Stops the process gracefully, as an operator would. */
  async stop(child: ChildProcess): Promise<void> {
    const exited = once(child, 'exit', { signal: AbortSignal.timeout(STOP_WITHIN_MS) });
    child.kill('SIGTERM');
    await exited;
  }

  killAll(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }
}

/** Returns the first message of a process. @throws Error if the process ends before it */
export async function said<T extends object>(child: ChildProcess): Promise<T> {
  const [message] = (await Promise.race([once(child, 'message'), once(child, 'exit')])) as [T | number | null];
  if (typeof message !== 'object' || !message) throw new Error(`It ended by itself: ${child.spawnargs.join(' ')}`);
  return message;
}

export function isInstalled(name: string): boolean {
  return spawnSync('which', [name]).status === 0;
}

/** Pins a process. The processes that it starts later inherit this. @returns whether it succeeded */
function pin(pid: number, core: string): boolean {
  try {
    execFileSync('taskset', ['-apc', core, String(pid)], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
