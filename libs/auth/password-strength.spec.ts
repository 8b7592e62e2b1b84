import { afterEach, describe, expect, it } from '@jest/globals';
import { PasswordStrength } from './password-strength.js';

describe('the strength of a password', () => {
  const strength = new PasswordStrength();
  afterEach(() => strength.close());

  it.each([
    ['password1234', 1],
    ['qwertyuiop[]', 1],
    ['aaaaaaaaaaaaaaaaaaaaaaaa', 0],
    ['p@$$w0rdp@$$w0rd', 1],
    ['nine lamps above the quay', 4],
  ])('%s scores at most %d, or at least 2 if it is good', async (password, expected) => {
    const score = await strength.score(password, []);
    if (expected < 2) expect(score).toBeLessThanOrEqual(expected);
    else expect(score).toBeGreaterThanOrEqual(2);
  });

  it('counts personal data of the user as guessable', async () => {
    expect(await strength.score('grace.hopper@navy.example', ['grace.hopper@navy.example'])).toBeLessThan(2);
  });

  it('is rated for a bounded number at once, and further requests are rejected as overloaded', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 100 }, () => strength.score('password1234', [])));
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThanOrEqual(45);
    for (const outcome of refused) expect(outcome).toMatchObject({ reason: { code: 'overloaded' } });
    expect(await strength.score('password1234', [])).toBeLessThan(2);
  });

  it('takes bounded time for the longest password', async () => {
    const slow = '4@8({[<369&#!1/|0$5+7%2/<'.repeat(6);
    const timeOf = async (length: number) => {
      const times = [];
      for (let run = 0; run < 3; run++) {
        const begin = performance.now();
        await strength.score(slow.slice(0, length), []);
        times.push(performance.now() - begin);
      }
      return Math.min(...times);
    };
    await timeOf(12);
    // Rating the whole password would take about ten times as long.
    expect(await timeOf(128)).toBeLessThan(Math.max(4 * (await timeOf(32)), 100));
  });
});
