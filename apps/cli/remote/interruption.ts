import { commandProcess } from '../command-process.js';

/**
 * Aborts when the user interrupts the command. The terminal, npm and the launcher pass on the same signal, so it may
 * arrive several times.
 */
export function interruption(): AbortSignal {
  const wish = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) commandProcess().on(signal, () => wish.abort());
  return wish.signal;
}
