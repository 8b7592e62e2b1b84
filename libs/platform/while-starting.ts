import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { isDatabaseAway } from '#libs/database/database.js';
import { DatabaseAway, whyUnusable } from './database-check.js';

/** With the timeout of each connection, a start waits for a quarter of a minute. */
const ATTEMPTS = 5;
const PAUSE_MS = 1_000;

/**
 * Runs the statements that a process needs to start. On a busy machine, its first connections can take longer than a
 * request would wait. Logs once that it tries again.
 * @throws DatabaseAway with one sentence after the last attempt
 */
export async function whileStarting<T>(work: () => Promise<T>, pauseMs = PAUSE_MS): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!isDatabaseAway(error)) throw error;
      const why = whyUnusable(error);
      if (attempt === ATTEMPTS) throw new DatabaseAway(why);
      if (attempt === 1) new Logger('Start').warn(`${why} Trying again, up to ${ATTEMPTS - 1} times.`);
      await sleep(pauseMs);
    }
  }
}
