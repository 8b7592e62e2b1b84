import { LRUCache } from 'lru-cache';
import { DomainError } from '#libs/platform/errors.js';
import { bytesOf, ownText } from '#libs/platform/byte-size.js';
import { PlainCounter, type Count, type Gauges } from '#libs/platform/metrics.js';
import { traced } from '#libs/platform/tracing.js';
import type { AuthorizationChange, AuthorizationStates, StateFollower } from './authorization-states.js';

/** What was loaded, and the state of its shard, of one and the same instant. */
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
  /** What it is called in the metrics. */
  readonly name: string;
  readonly max: number;
  /** What all values may take, with their places here. */
  readonly maxBytes: number;
  /** What a value takes, about, as {@link bytesOf} counts it. */
  readonly sizeOf: (value: V) => number;
  /** One statement, one snapshot: were value and state read apart, a change between them would go unnoticed. */
  readonly load: (key: string) => Promise<Loaded<V> | null>;
  /** The UUID of what changes most often, by which a value is found without looking at all of them. */
  readonly idOf: (value: V) => string;
  /** Which values a change of anything else makes wrong; null for none, which saves looking at them. */
  readonly madeWrongBy: (change: AuthorizationChange) => ((value: V) => boolean) | null;
}

const LOAD_ATTEMPTS = 10;
/** What is not there is not asked for again for a while. Its key cannot be known to anybody before it is made. */
const MAX_MISSING = 10_000;
const MAX_MISSING_BYTES = 4 * 1024 * 1024;
const MISSING_MS = 60_000;
/** An entry's share of the cache itself, of the lists by id and by shard, and of the id, measured. */
const PLACE_BYTES = 500;

const hits = new PlainCounter('keyledger_cache_hits_total', 'Lookups that the cache answered', ['cache']);
const misses = new PlainCounter(
  'keyledger_cache_misses_total',
  'Lookups that had to ask the database, or would have, had it not said lately that there is nothing',
  ['cache'],
);

/**
 * Values that are valid as of the state that {@link AuthorizationStates} knows, never of another: a load that is newer than
 * that state waits until the state has come after it, and an older one is made anew if anything has changed since that
 * concerns it.
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
      max: options.max,
      maxSize: options.maxBytes,
      sizeCalculation: ({ value }, key) => PLACE_BYTES + bytesOf(key) + options.sizeOf(value),
      dispose: (entry, key) => this.#unlist(key, entry),
    });
    states.follow(this);
    const labels = { cache: options.name };
    this.#hits = hits.of(labels);
    this.#misses = misses.of(labels);
    gauges.add('keyledger_cache_entries', 'How many entries the cache holds', ['cache'], (set) =>
      set(labels, this.#entries.size),
    );
    gauges.add('keyledger_cache_bytes', 'How much memory its entries take, about', ['cache'], (set) =>
      set(labels, this.#entries.calculatedSize),
    );
  }

  /** Valid as of the state that is known now; nothing may be awaited between this and reading that state. */
  get(key: string): Entry<V> | undefined {
    return this.#entries.get(key);
  }

  /** The same where a request looks for the first time, which is what counts as a hit. */
  lookUp(key: string): Entry<V> | undefined {
    const entry = this.get(key);
    if (entry) this.#hits.value += 1;
    return entry;
  }

  /**
   * Loads it unless it is there. Many calls share one load.
   * @returns false when there is none
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
      // No await from here on: the state could move in between.
      const since = this.states.since(loaded.shard, loaded);
      if (since && !since.some((change) => this.#makesWrong(change, loaded.value))) {
        this.#list(key, loaded);
        return true;
      }
    }
    const detail = 'What the request is about changed whenever it was read';
    throw new DomainError('audit_unavailable', detail, { retryAfter: 1 });
  }

  #makesWrong(change: AuthorizationChange, value: V): boolean {
    return change.id === this.options.idOf(value) || (this.options.madeWrongBy(change)?.(value) ?? false);
  }

  #list(key: string, { value, shard }: Loaded<V>): void {
    this.#entries.set(key, { value, shard });
    // Too large for the cache.
    if (!this.#entries.has(key)) return;
    const id = this.options.idOf(value);
    this.#byId.set(id, [...(this.#byId.get(id) ?? []).filter((other) => other !== key), key]);
    const ofShard = this.#byShard.get(shard) ?? new Set();
    this.#byShard.set(shard, ofShard.add(key));
  }

  #unlist(key: string, { value, shard }: Entry<V>): void {
    const id = this.options.idOf(value);
    const others = (this.#byId.get(id) ?? []).filter((other) => other !== key);
    if (others.length > 0) this.#byId.set(id, others);
    else this.#byId.delete(id);
    this.#byShard.get(shard)?.delete(key);
  }
}
