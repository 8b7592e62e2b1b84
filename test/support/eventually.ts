import { setTimeout as sleep } from 'node:timers/promises';

/** What was answered is in the audit log, and counted, within this time. */
export const VISIBLE_WITHIN_MS = 2_000;
/** Far more than anything takes: how soon it happens is asserted only where that is the guarantee. */
const PATIENCE_MS = 20_000;

/** Asks until the response is what is wanted, or gives the last one back when the time is up. */
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
