import { describe, expect, it } from '@jest/globals';
import { WholeLogRun } from './whole-log-run.js';

/** Whether a promise is settled, after everything that is already on its way. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const waiting = new Promise((resolve) => setTimeout(() => resolve('waiting')));
  const outcome = promise.then(
    () => 'settled',
    () => 'settled',
  );
  return (await Promise.race([outcome, waiting])) === 'settled';
}

describe('a verification of a whole log', () => {
  it('reads nothing further while it is paused, and goes on where it was', async () => {
    const run = new WholeLogRun();
    run.advance(512, 1_000, false);
    run.pause();
    run.pause();
    const turn = run.turn();
    expect(await isSettled(turn)).toBe(false);
    expect(run.progress()).toMatchObject({ next: 512, size: 1_000, locating: false });
    run.resume();
    await turn;
    expect(run.progress().next).toBe(512);
  });

  it('does not count the time of a pause or of an earlier reading as slowness', () => {
    const run = new WholeLogRun();
    run.advance(512, 1_000, false);
    run.pause();
    run.resume();
    expect(run.progress().perSecond).toBe(0);
    run.advance(0, 1_000, true);
    expect(run.progress()).toEqual({ next: 0, size: 1_000, locating: true, perSecond: 0 });
  });

  it('ends when it is cancelled, also while it is paused', async () => {
    const run = new WholeLogRun();
    run.pause();
    const turn = run.turn();
    run.cancel();
    await expect(turn).rejects.toThrow('aborted');
    expect(run.signal.aborted).toBe(true);
    await expect(run.turn()).rejects.toThrow('aborted');
  });
});
