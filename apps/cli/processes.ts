import { execFileSync } from 'node:child_process';
import { linkSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';

/** Another living process holds the lock. */
export class LockHeld extends Error {
  constructor(readonly pid: number) {
    super(`Held by process ${pid}.`);
  }
}

/**
 * Creates a file that names the one process that may use a resource. The file survives if that process is killed, so
 * the lock only counts if the process is alive and started at the recorded time, because process ids are reused.
 */
export function takeLock(file: string): { release(): void } {
  const mine = JSON.stringify({ pid: process.pid, began: beginOf(process.pid) });
  const fresh = `${file}.${process.pid}.new`;
  writeFileSync(fresh, mine);
  try {
    // The link takes the lock: unlike a rename it fails if the file exists, and the file is never half written.
    while (!attempt(() => linkSync(fresh, file), 'EEXIST')) discardIfStale(file);
  } finally {
    rmSync(fresh);
  }
  return {
    release: () => {
      if (read(file) === mine) rmSync(file, { force: true });
    },
  };
}

function discardIfStale(file: string): void {
  const held = read(file);
  if (held === undefined) return;
  const { pid, began } = JSON.parse(held) as { pid: number; began: string };
  if (isAlive(pid) && beginOf(pid) === began) throw new LockHeld(pid);
  // Only one of several processes can rename a stale lock. A lock that another process took meanwhile is put back.
  const aside = `${file}.${process.pid}.stale`;
  if (!attempt(() => renameSync(file, aside), 'ENOENT')) return;
  if (read(aside) !== held) attempt(() => linkSync(aside, file), 'EEXIST');
  rmSync(aside);
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Whether the process is a PostgreSQL server that was started on exactly this directory. */
export function isPostgresOf(pid: number, directory: string): boolean {
  const [command, ...args] = commandOf(pid);
  if (command === undefined || basename(command) !== 'postgres') return false;
  return args[args.indexOf('-D') + 1] === directory && hasExecutable(pid, 'postgres');
}

/** A process can forge its command line, but not its executable. If that is hidden, we may not stop it either. */
function hasExecutable(pid: number, name: string): boolean {
  if (process.platform !== 'linux') return true;
  try {
    // An installation may have replaced the file meanwhile.
    return basename(readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '')) === name;
  } catch {
    return false;
  }
}

function commandOf(pid: number): string[] {
  if (process.platform === 'linux') return (read(`/proc/${pid}/cmdline`) ?? '').split('\0');
  return ps(pid, 'command').split(' ');
}

function beginOf(pid: number): string {
  if (process.platform !== 'linux') return ps(pid, 'lstart');
  // Fields from the third on. They follow the name in parentheses, which may contain anything.
  const stat = read(`/proc/${pid}/stat`) ?? '';
  const [state = '', ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie has ended; its parent has not read its exit status yet.
  return state === 'Z' ? '' : (rest[18] ?? '');
}

function ps(pid: number, field: string): string {
  try {
    return execFileSync('ps', ['-o', `${field}=`, '-p', String(pid)], { encoding: 'utf8' }).trim();
  } catch {
    return '';
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    // ESRCH: the process ended between opening its file in /proc and reading it.
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

function attempt(work: () => void, rejection: string): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === rejection) return false;
    throw error;
  }
}
