import { setTimeout as sleep } from 'node:timers/promises';

/** Events show up in the trail within this time of their answer. */
const VISIBLE_WITHIN_MS = 2_000;

/** Asks until the answer is what is wanted, or gives the last one back when the time is up. */
export async function eventually<T>(
  ask: () => Promise<T>,
  wanted: (answer: T) => boolean,
  withinMs = VISIBLE_WITHIN_MS,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (wanted(answer) || performance.now() > deadline) return answer;
    await sleep(25);
  }
}
