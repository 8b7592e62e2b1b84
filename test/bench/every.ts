import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Calls `act` at a fixed rate until the signal aborts, without waiting for earlier calls.
 * @param act receives its index and the time at which it was due, by the clock of `performance.now`
 */
export async function timesASecond(
  rate: number,
  ended: AbortSignal,
  act: (index: number, dueAt: number) => Promise<void>,
): Promise<void> {
  const underWay: Promise<void>[] = [];
  const startedAt = performance.now();
  for (let index = 0; ; index++) {
    const dueAt = startedAt + (index * 1000) / rate;
    await sleep(Math.max(0, dueAt - performance.now()));
    if (ended.aborted) break;
    const one = act(index, dueAt);
    // `Promise.all` below reports the error after all calls have ended.
    one.catch(() => undefined);
    underWay.push(one);
  }
  await Promise.all(underWay);
}
