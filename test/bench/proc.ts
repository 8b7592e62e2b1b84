import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** Whether the system has /proc, as Linux does. */
export const hasProc = existsSync('/proc/self/stat');

/** Resident memory in MB (10^6 bytes), now and at its peak. */
export function residentMegabytes(pid: number): { now: number; highest: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (name: string) => (Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024) / 1e6;
  return { now: of('VmRSS'), highest: of('VmHWM') };
}

/** The CPU time of a process and its children, including ended ones, in seconds of user and kernel mode; NaN without /proc. */
export function cpuSeconds(pid: number): number {
  if (!hasProc) return Number.NaN;
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(Number(name)))
    .filter((stat) => stat?.parent === pid);
  return [statOf(pid), ...children].reduce((sum, stat) => sum + (stat?.ticks ?? 0), 0) / ticksPerSecond();
}

/** The CPU time of a process alone, in seconds of user and kernel mode; 0 if it has ended. */
export function ownCpuSeconds(pid: number): number {
  return (statOf(pid)?.ownTicks ?? 0) / ticksPerSecond();
}

export function parentOf(pid: number): number | undefined {
  return statOf(pid)?.parent;
}

/** Undefined if the process ended meanwhile. Its name, in parentheses, may contain anything. */
function statOf(pid: number): { parent: number; ticks: number; ownTicks: number } | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ').map(Number);
    const [, parent] = fields;
    // utime and stime, and both for the children that it waited for.
    const sum = (from: number, to: number) => fields.slice(from, to).reduce((all, ticks) => all + ticks, 0);
    return { parent: parent!, ticks: sum(11, 15), ownTicks: sum(11, 13) };
  } catch {
    return undefined;
  }
}

function ticksPerSecond(): number {
  return Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
}
