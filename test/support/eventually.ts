import { setTimeout as sleep } from 'node:timers/promises';

/** Much longer than any operation takes. */
const PATIENCE_MS = 20_000;

/** Repeats the call until the result is as wanted, or returns the last one after the timeout. */
export async function eventually<T>(
  ask: () => Promise<T>,
  wanted: (response: T) => boolean,
  withinMs = PATIENCE_MS,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const response = await ask();
    if (wanted(response) || performance.now() > deadline) return response;
    await sleep(25);
  }
}
