import { describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { DatabaseAway } from './database-check.js';
import { whileStarting } from './while-starting.js';

const away = new Error('Connection terminated due to connection timeout');
const SENTENCE =
  'DATABASE_URL must name a PostgreSQL server that can be reached: Connection terminated due to connection timeout.';

/** Fails so many times, and then succeeds. */
async function start(failures: number, error = away) {
  const logged: unknown[] = [];
  const log = (message: unknown) => void logged.push(message);
  Logger.overrideLogger({ log, warn: log, error: log });
  let attempts = 0;
  const work = async () => {
    attempts += 1;
    if (attempts <= failures) throw error;
    return 'started';
  };
  const result = await whileStarting(work, 0).catch((thrown: unknown) => thrown);
  Logger.overrideLogger(false);
  return { result, attempts, logged };
}

describe('a start whose first statements fail', () => {
  it('tries again if the database is unavailable, and logs that in one sentence', async () => {
    expect(await start(0)).toEqual({ result: 'started', attempts: 1, logged: [] });
    const logged = [`${SENTENCE} Trying again, up to 4 times.`];
    expect(await start(1)).toEqual({ result: 'started', attempts: 2, logged });
    expect(await start(4)).toEqual({ result: 'started', attempts: 5, logged });
  });

  it('ends with one sentence after the last attempt', async () => {
    const { result, attempts, logged } = await start(Infinity);
    expect(result).toEqual(new DatabaseAway(SENTENCE));
    expect([attempts, logged.length]).toEqual([5, 1]);
  });

  it('does not try again after any other error', async () => {
    const error = new Error('no such table');
    expect(await start(1, error)).toEqual({ result: error, attempts: 1, logged: [] });
  });
});
