import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { AuthorizationStates } from './authorization-states.js';
import { Gauges } from '#libs/platform/metrics.js';
import { StateBoundCache, type Loaded } from './state-bound-cache.js';

/**
 * A database with one shard whose state counts its changes, a node that follows it, and statements that take their
 * snapshot when they begin and respond when the scheduler chooses.
 */
class World {
  seq = 0;
  readonly values = new Map<string, number>([
    ['a', 0],
    ['b', 0],
  ]);
  #known = { seq: 0, tag: '0' };
  #follower: StateBoundCache<Value> | undefined;

  constructor(private readonly scheduler: fc.Scheduler) {}

  readonly states = {
    since: (_: number, { seq }: { seq: number }) =>
      seq > this.#known.seq
        ? null
        : this.changed.slice(seq, this.#known.seq).map((key) => ({ kind: 'api_key', id: key })),
    follow: (follower: StateBoundCache<Value>) => (this.#follower = follower),
    refresh: async () => {
      const seq = await this.#respond('refresh', this.seq);
      // In their order, because one reader reads the states.
      for (let next = this.#known.seq + 1; next <= seq; next++) {
        this.#follower!.forget(0, { seq: next, tag: String(next), kind: 'api_key', id: this.changed[next - 1]! });
      }
      if (seq > this.#known.seq) this.#known = { seq, tag: String(seq) };
    },
  } as unknown as AuthorizationStates;

  readonly changed: string[] = [];

  change(key: string): void {
    this.seq += 1;
    this.values.set(key, this.seq);
    this.changed.push(key);
  }

  load(key: string): Promise<Loaded<Value>> {
    const loaded = { value: { key, as: this.values.get(key)! }, shard: 0, seq: this.seq, tag: String(this.seq) };
    return this.#respond(`load ${key}`, loaded);
  }

  #respond<T>(what: string, response: T): Promise<T> {
    return this.scheduler.schedule(Promise.resolve(response), what);
  }

  /** The value of a key in the database as of the state that the node knows. */
  asOfKnown(key: string): number {
    const lastChange = this.changed.slice(0, this.#known.seq).lastIndexOf(key);
    return lastChange + 1;
  }
}

interface Value {
  readonly key: string;
  readonly as: number;
}

it('a cached value always belongs to the state that the node knows, in any order of loads, reads and changes', async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('change' as const), key: fc.constantFrom('a', 'b') }),
    fc.record({ do: fc.constant('learn' as const), key: fc.constantFrom('a', 'b') }),
    fc.record({ do: fc.constant('refresh' as const), key: fc.constant('') }),
    fc.record({ do: fc.constant('wait' as const), key: fc.constant('') }),
  );
  let hits = 0;
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.array(step, { minLength: 5, maxLength: 30 }), async (scheduler, steps) => {
      const world = new World(scheduler);
      const cache: StateBoundCache<Value> = new StateBoundCache<Value>(world.states, new Gauges(), {
        name: 'test',
        maxBytes: 10_000,
        sizeOf: () => 1,
        load: (key) => world.load(key),
        idOf: ({ key }) => key,
        madeWrongBy: () => null,
      });
      const expectValid = () => {
        for (const key of world.values.keys()) {
          const entry = cache.get(key);
          if (!entry) continue;
          hits += 1;
          expect(entry.value.as).toBe(world.asOfKnown(key));
        }
      };
      const running: Promise<unknown>[] = [];
      for (const { do: what, key } of steps) {
        if (what === 'change') world.change(key);
        if (what === 'learn') running.push(cache.learn(key).catch(() => undefined));
        if (what === 'refresh') running.push(world.states.refresh());
        if (what === 'wait' && scheduler.count() > 0) await scheduler.waitOne();
        expectValid();
      }
      while (scheduler.count() > 0) {
        await scheduler.waitOne();
        expectValid();
      }
      await scheduler.waitIdle();
      await Promise.all(running);
      expectValid();
    }),
    { numRuns: 500 },
  );
  expect(hits).toBeGreaterThan(1_000);
});
