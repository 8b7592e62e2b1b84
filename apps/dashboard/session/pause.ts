import { onlineManager } from '@tanstack/react-query';

/** Waits until the time has passed and the server can be reached, or the signal aborts. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', resolve, { once: true });
  });
  if (onlineManager.isOnline() || signal.aborted) return;
  await new Promise<void>((resolve) => {
    const unsubscribe = onlineManager.subscribe((online) => {
      if (online) done();
    });
    const done = () => {
      unsubscribe();
      resolve();
    };
    signal.addEventListener('abort', done, { once: true });
  });
}
