import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DomainError } from './errors.js';
import { FairQueue } from './fair-queue.js';

const OPTIONS = { of: 'changes', running: 3, runningPerFlow: 2, waiting: 100, waitingPerFlow: 100, patienceMs: 60_000 };

/** Work that runs until the test ends it, recorded in the order in which it began. */
class Work {
  readonly begun: string[] = [];
  readonly ends: (() => void)[] = [];
  most = 0;
  readonly mostOf = new Map<string, number>();
  readonly #running = new Map<string, number>();

  readonly run = async (flow: string): Promise<void> => {
    this.begun.push(flow);
    this.#count(flow, 1);
    await new Promise<void>((resolve) => this.ends.push(resolve));
    this.#count(flow, -1);
  };

  #count(flow: string, by: number): void {
    const running = (this.#running.get(flow) ?? 0) + by;
    this.#running.set(flow, running);
    this.mostOf.set(flow, Math.max(this.mostOf.get(flow) ?? 0, running));
    this.most = Math.max(
      this.most,
      [...this.#running.values()].reduce((sum, n) => sum + n, 0),
    );
  }
}

const codeOf = (error: unknown) => (error instanceof DomainError ? error.code : error);

describe('a fair queue', () => {
  it('runs all work within its bounds, in total and for each flow, and is empty afterwards', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 40 }),
        fc.nat(),
        async (flows, seed) => {
          const queue = new FairQueue(OPTIONS);
          const work = new Work();
          const all = flows.map((flow) => queue.run(flow, () => work.run(flow)));
          for (
            let n = seed % 1_000;
            work.begun.length < flows.length || work.ends.length > 0;
            n = (n * 31 + 7) % 1_000
          ) {
            await turn();
            work.ends.splice(n % Math.max(1, work.ends.length), 1)[0]?.();
          }
          await Promise.all(all);
          expect(work.begun.toSorted()).toEqual(flows.toSorted());
          expect(work.most).toBe(Math.min(3, work.most));
          for (const most of work.mostOf.values()) expect(most).toBeLessThanOrEqual(2);
          expect([queue.running, queue.waiting]).toEqual([0, 0]);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('lets a late flow begin after at most one end, however much work another flow has waiting', async () => {
    const queue = new FairQueue({ ...OPTIONS, running: 2 });
    const work = new Work();
    const flood = Array.from({ length: 50 }, () => queue.run('flood', () => work.run('flood')));
    const late = queue.run('late', () => work.run('late'));
    await turn();
    expect(work.begun).toEqual(['flood', 'flood']);
    work.ends.shift()!();
    await turn();
    expect(work.begun).toEqual(['flood', 'flood', 'late']);
    while (queue.running > 0) {
      work.ends.shift()?.();
      await turn();
    }
    await Promise.all([...flood, late]);
  });

  it('rejects excess work before it begins: of a flow with too much, and work that waited too long', async () => {
    const queue = new FairQueue({ ...OPTIONS, waiting: 4, waitingPerFlow: 3, patienceMs: 50 });
    const work = new Work();
    const outcomes = ['a', 'a', 'a', 'a', 'a', 'a', 'b', 'b', 'c'].map((flow) =>
      queue
        .run(flow, () => work.run(flow))
        .then(
          () => 'done',
          (error: unknown) => codeOf(error),
        ),
    );
    await sleep(100);
    // Two of `a` and one of `b` run. Three of `a` and one of `b` gave up waiting.
    expect(work.begun).toEqual(['a', 'a', 'b']);
    for (const end of work.ends) end();
    expect(await Promise.all(outcomes)).toEqual([
      'done',
      'done',
      'overloaded',
      'overloaded',
      'overloaded',
      'rate_limited',
      'done',
      'overloaded',
      'overloaded',
    ]);
    expect([queue.running, queue.waiting]).toEqual([0, 0]);
  });

  it('leaves most of the time to others: a busy flow pauses for several times as long as its work took', async () => {
    const rest = { beyond: 2, times: 3 };
    const queue = new FairQueue({ ...OPTIONS, running: 2, runningPerFlow: 1, rest });
    const began: number[] = [];
    const work = async () => {
      began.push(performance.now());
      await sleep(20);
    };
    const flood = Array.from({ length: 6 }, () => queue.run('flood', work));
    await sleep(40);
    // The flood rests: its next work has not begun, and its place is free for others.
    expect([began.length, queue.running]).toEqual([1, 0]);
    await queue.run('other', () => Promise.resolve());
    await Promise.all(flood);
    const pauses = began.slice(1).map((at, n) => at - began[n]!);
    // It rests while more than two wait, and no longer after that.
    expect(pauses.map((ms) => ms > 76)).toEqual([true, true, true, false, false]);
    expect([queue.running, queue.waiting]).toEqual([0, 0]);
  });

  it('continues after work that fails', async () => {
    const queue = new FairQueue({ ...OPTIONS, running: 1 });
    const failed = queue.run('a', () => Promise.reject(new Error('fails')));
    const next = queue.run('a', () => Promise.resolve('done'));
    await expect(failed).rejects.toThrow('fails');
    expect(await next).toBe('done');
  });
});
