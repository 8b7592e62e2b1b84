import type { CommandProcess } from '../command-process.js';

/**
 * Aborts when the user interrupts the command. The terminal, npm and the launcher pass on the same signal, so it may
 * arrive several times.
 */
export function interruption(host: CommandProcess): AbortSignal {
  const wish = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) host.on(signal, () => wish.abort());
  return wish.signal;
}
