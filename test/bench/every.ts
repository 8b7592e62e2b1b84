import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Does something so many times a second until it is to end, and does not wait for one before it begins the next.
 * @param act is told its number and when it was due, on the clock of `performance.now`
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
    // It is told below, when all have ended.
    one.catch(() => undefined);
    underWay.push(one);
  }
  await Promise.all(underWay);
}
