import { commandProcess } from '../command-process.js';

/**
 * The wish of whoever watches that it be over. The terminal, npm and the launcher pass the same signal on, and it may come
 * as often as it likes.
 */
export function interruption(): AbortSignal {
  const wish = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) commandProcess().on(signal, () => wish.abort());
  return wish.signal;
}
