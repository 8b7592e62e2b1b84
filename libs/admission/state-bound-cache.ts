import { LRUCache } from 'lru-cache';
import { DomainError } from '#libs/platform/errors.js';
import { bytesOf, ownText } from '#libs/platform/byte-size.js';
import { PlainCounter, type Count, type Gauges } from '#libs/platform/metrics.js';
import { traced } from '#libs/platform/tracing.js';
import type { AuthorizationChange, AuthorizationStates, StateFollower } from './authorization-states.js';

/** A loaded value and the state of its shard, both of the same instant. */
export interface Loaded<V> {
  readonly value: V;
  readonly shard: number;
  readonly seq: number;
  readonly tag: string;
}

export interface Entry<V> {
  readonly value: V;
  readonly shard: number;
}

export interface StateBoundCacheOptions<V> {
  /** The name of the cache in metrics. */
  readonly name: string;
  /** The maximum size of all values, including the overhead of the cache. */
  readonly maxBytes: number;
  /** The approximate size of a value, as {@link bytesOf} counts it. */
  readonly sizeOf: (value: V) => number;
  /** Must read value and state in one statement: with two snapshots, a change between them would go unnoticed. */
  readonly load: (key: string) => Promise<Loaded<V> | null>;
  /** The UUID of the object that changes most often. A change finds its values by it, without a scan. */
  readonly idOf: (value: V) => string;
  /** Which values a change of any other object makes wrong; null for none, which saves a scan. */
  readonly madeWrongBy: (change: AuthorizationChange) => ((value: V) => boolean) | null;
}

const LOAD_ATTEMPTS = 10;
/** A missing value is not loaded again for a while. This is safe: no caller can know a key before it is created. */
const MAX_MISSING = 10_000;
const MAX_MISSING_BYTES = 4 * 1024 * 1024;
const MISSING_MS = 60_000;
/** Measured: the overhead of an entry in the cache and in the indexes by id and by shard. */
const PLACE_BYTES = 500;

const hits = new PlainCounter('keyledger_cache_hits_total', 'Lookups that found an entry in the cache', ['cache']);
const misses = new PlainCounter(
  'keyledger_cache_misses_total',
  'Lookups that found no entry in the cache, including those of names that are known not to exist',
  ['cache'],
);

/**
 * A cache whose values are valid exactly as of the state that {@link AuthorizationStates} knows. If a loaded value is
 * newer, the cache refreshes that state first. If it is older and a later change concerns it, the cache loads it again.
 */
export class StateBoundCache<V extends object> implements StateFollower {
  readonly #entries: LRUCache<string, Entry<V>>;
  readonly #byId = new Map<string, string[]>();
  readonly #byShard = new Map<number, Set<string>>();
  readonly #missing = new LRUCache<string, true>({
    max: MAX_MISSING,
    maxSize: MAX_MISSING_BYTES,
    sizeCalculation: (_, key) => PLACE_BYTES + bytesOf(key),
    ttl: MISSING_MS,
  });
  readonly #loading = new Map<string, Promise<boolean>>();
  readonly #hits: Count;
  readonly #misses: Count;

  constructor(
    private readonly states: AuthorizationStates,
    gauges: Gauges,
    private readonly options: StateBoundCacheOptions<V>,
  ) {
    this.#entries = new LRUCache({
      // Without a maximum number of entries, no memory is reserved for them.
      maxSize: options.maxBytes,
      sizeCalculation: ({ value }, key) => PLACE_BYTES + bytesOf(key) + options.sizeOf(value),
      dispose: (entry, key) => this.#removeFromIndexes(key, entry),
    });
    states.follow(this);
    const labels = { cache: options.name };
    this.#hits = hits.of(labels);
    this.#misses = misses.of(labels);
    gauges.add('keyledger_cache_entries', 'Entries in the cache', ['cache'], (set) => set(labels, this.#entries.size));
    gauges.add('keyledger_cache_bytes', 'Approximate memory of the entries in the cache', ['cache'], (set) =>
      set(labels, this.#entries.calculatedSize),
    );
  }

  /** The value as of the known state. Do not `await` between this call and reading that state. */
  get(key: string): Entry<V> | undefined {
    return this.#entries.get(key);
  }

  /** The same for the first lookup of a request, which counts as a hit. */
  lookUp(key: string): Entry<V> | undefined {
    const entry = this.get(key);
    if (entry) this.#hits.value += 1;
    return entry;
  }

  /**
   * Loads a value into the cache. Concurrent calls share one load.
   * @returns false if there is no such value
   */
  learn(key: string): Promise<boolean> {
    this.#misses.value += 1;
    if (this.#missing.has(key)) return Promise.resolve(false);
    const loading = this.#loading.get(key);
    if (loading) return loading;
    const load = traced(`load ${this.options.name}`, () => this.#load(ownText(key))).finally(() =>
      this.#loading.delete(key),
    );
    this.#loading.set(key, load);
    return load;
  }

  forget(shard: number, change: AuthorizationChange): void {
    const keys = this.#byId.get(change.id) ?? [];
    for (const key of keys) this.#entries.delete(key);
    const isWrong = this.options.madeWrongBy(change);
    if (!isWrong) return;
    for (const key of this.#byShard.get(shard) ?? []) {
      if (isWrong(this.#entries.peek(key)!.value)) this.#entries.delete(key);
    }
  }

  forgetAll(shard: number): void {
    for (const key of this.#byShard.get(shard) ?? []) this.#entries.delete(key);
  }

  async #load(key: string): Promise<boolean> {
    for (let attempt = 0; attempt < LOAD_ATTEMPTS; attempt++) {
      const loaded = await this.options.load(key);
      if (!loaded) {
        this.#missing.set(key, true);
        return false;
      }
      if (!this.states.since(loaded.shard, loaded)) await this.states.refresh();
      // No await from here on: the state could change in between.
      const since = this.states.since(loaded.shard, loaded);
      if (since && !since.some((change) => this.#makesWrong(change, loaded.value))) {
        this.#add(key, loaded);
        return true;
      }
    }
    const detail = 'The objects of the request changed each time they were read';
    throw new DomainError('audit_unavailable', detail, { retryAfter: 1 });
  }

  #makesWrong(change: AuthorizationChange, value: V): boolean {
    return change.id === this.options.idOf(value) || (this.options.madeWrongBy(change)?.(value) ?? false);
  }

  #add(key: string, { value, shard }: Loaded<V>): void {
    this.#entries.set(key, { value, shard });
    // The cache rejects values that are too large.
    if (!this.#entries.has(key)) return;
    const id = this.options.idOf(value);
    this.#byId.set(id, [...(this.#byId.get(id) ?? []).filter((other) => other !== key), key]);
    const ofShard = this.#byShard.get(shard) ?? new Set();
    this.#byShard.set(shard, ofShard.add(key));
  }

  #removeFromIndexes(key: string, { value, shard }: Entry<V>): void {
    const id = this.options.idOf(value);
    const others = (this.#byId.get(id) ?? []).filter((other) => other !== key);
    if (others.length > 0) this.#byId.set(id, others);
    else this.#byId.delete(id);
    this.#byShard.get(shard)?.delete(key);
  }
}
