import { setTimeout as sleep } from 'node:timers/promises';

/** Far more than anything takes, so that a machine whose disk stalls fails no test: how soon is for the bench to say. */
const PATIENCE_MS = 20_000;

/** Asks until the answer is what is wanted, or gives the last one back when the time is up. */
export async function eventually<T>(
  ask: () => Promise<T>,
  wanted: (answer: T) => boolean,
  withinMs = PATIENCE_MS,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (wanted(answer) || performance.now() > deadline) return answer;
    await sleep(25);
  }
}
