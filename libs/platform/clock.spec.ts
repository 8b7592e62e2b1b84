import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { DatabaseClock } from './clock.js';

describe('the estimate of the database clock', () => {
  it('follows the database, whatever the clock of this machine shows', async () => {
    const clock = new DatabaseClock();
    const ahead = Date.now() + 3_600_000;
    clock.observe(ahead, performance.now());
    expect(clock.now().getTime() - ahead).toBeLessThan(60_000);
    await sleep(20);
    expect(clock.now().getTime() - ahead).toBeGreaterThanOrEqual(19);
  });

  it('never goes back, whatever the database responds', () => {
    const clock = new DatabaseClock();
    const before = clock.now().getTime();
    clock.observe(before - 60_000, performance.now());
    expect(clock.now().getTime()).toBeGreaterThanOrEqual(before);
  });

  it('uses the response to the latest request, not the latest response', () => {
    const clock = new DatabaseClock();
    const now = Date.now();
    const sentFirst = performance.now();
    const sentSecond = sentFirst + 5;
    clock.observe(now + 10_000, sentSecond);
    clock.observe(now + 90_000, sentFirst);
    expect(clock.now().getTime()).toBeLessThan(now + 20_000);
  });
});

describe('a statement that reads the time', () => {
  const START = Date.now() + 3_600_000;
  const CONNECTING_MS = 1_900;
  const STATEMENT_MS = 7;
  let now = 0;

  /** A pool in which time passes only while a statement waits for its connection, and while it runs. */
  class SlowPool extends pg.Pool {
    readonly released: unknown[] = [];
    failure: Error | undefined;

    override async connect(): Promise<never> {
      now += CONNECTING_MS;
      const query = async () => {
        const database_time = START + now;
        now += STATEMENT_MS;
        if (this.failure) throw this.failure;
        return { rows: [{ database_time }] };
      };
      return { query, release: (failure: unknown) => this.released.push(failure) } as never;
    }
  }

  function startClock() {
    jest.spyOn(performance, 'now').mockImplementation(() => now);
    return { clock: new DatabaseClock(), pool: new SlowPool() };
  }

  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('was sent when it had a connection', async () => {
    const { clock, pool } = startClock();
    await clock.query(pool, { text: 'SELECT' });
    expect(clock.milliseconds()).toBe(START + now);
    await clock.read(pool);
    expect(clock.milliseconds()).toBe(START + now);
    expect(pool.released).toEqual([undefined, undefined]);
  });

  it('gives its connection back if it fails, to be closed', async () => {
    const { clock, pool } = startClock();
    pool.failure = new Error('Query read timeout');
    await expect(clock.read(pool)).rejects.toBe(pool.failure);
    expect(pool.released).toEqual([pool.failure]);
  });
});
