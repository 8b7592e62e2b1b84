import { describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
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
