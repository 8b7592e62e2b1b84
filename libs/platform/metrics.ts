import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** All metrics of this process. Each is defined beside the code that it measures; `docs/operations.md` lists them. */
export const registry = new Registry();

type Labels = Record<string, string>;
type Read = (set: (labels: Labels, value: number) => void) => void | Promise<void>;

/**
 * Values that parts of an application measure when the metrics are read, such as the size of a cache. Each application
 * of a process has its own gauges, which end with it.
 */
@Injectable()
export class Gauges {
  readonly registry = new Registry();
  readonly #reads = new Map<string, Read[]>();

  /** Adds a part to the gauge of this name; the first part defines its help text and labels. */
  add(name: string, help: string, labelNames: readonly string[], read: Read): void {
    const known = this.#reads.get(name);
    if (known) return void known.push(read);
    const reads = [read];
    this.#reads.set(name, reads);
    this.registry.registerMetric(
      new Gauge({
        name,
        help,
        labelNames,
        registers: [],
        async collect() {
          for (const part of reads) await part((labels, value) => this.set(labels, value));
        },
      }),
    );
  }
}

/** For work that is done once for many requests: an observation costs more than a count. */
export function histogram<Label extends string = never>(
  name: string,
  help: string,
  buckets: readonly number[],
  labelNames: readonly Label[] = [],
): Histogram<Label> {
  return new Histogram({ name, help, buckets: [...buckets], labelNames, registers: [registry] });
}

/** A number that only grows: `count.value += 1`. */
export interface Count {
  value: number;
}

/**
 * A counter for events of every request. prom-client's own counter looks up its labels on every increment. This one
 * resolves them once, and makes a sample of the plain number only when the metrics are read.
 */
export class PlainCounter<Label extends string = never> {
  readonly #counts: { readonly labels: Record<Label, string>; readonly count: Count }[] = [];

  constructor(name: string, help: string, labelNames: readonly Label[] = []) {
    const counts = this.#counts;
    registry.registerMetric(
      new Counter({
        name,
        help,
        labelNames,
        registers: [],
        collect() {
          this.reset();
          for (const { labels, count } of counts) this.inc(labels, count.value);
        },
      }),
    );
  }

  /** Keep the result: each call makes a new sample. */
  of(labels: Record<Label, string>): Count {
    const count = { value: 0 };
    this.#counts.push({ labels, count });
    return count;
  }
}

const DEADLINE_MS = 2_000;

/**
 * For a gauge that queries the database. While the database is away its value is unknown, and the other metrics matter
 * even more.
 */
export function unlessAway<T>(response: Promise<T>, unknown: T): Promise<T> {
  return Promise.race([response.catch(() => unknown), sleep(DEADLINE_MS, unknown, { ref: false })]);
}
