import { once } from 'node:events';
import autocannon from 'autocannon';
import { quantile } from './report.ts';

/** What a run is to do. It ends after a number of requests, not a time: then each of them has been answered. */
export interface Order {
  readonly url: string;
  readonly path: string;
  readonly connections: number;
  readonly amount: number;
  /** In rotation, one for each request. */
  readonly headers: readonly Record<string, string>[];
}

/** Times in milliseconds. */
export interface Measured {
  readonly ok: number;
  /** Those that were answered otherwise than with 200, by their status. */
  readonly failed: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
}

// One run for each process: what the last one left in memory weighs on nothing.
const [order] = (await once(process, 'message')) as [Order];
const measured = await run(order);
process.send?.(measured, () => process.disconnect?.());

/** As fast as the answers come: each connection has one question under way, and sends the next when it is answered. */
async function run({ url, path, connections, amount, headers }: Order): Promise<Measured> {
  let ok = 0;
  let dealt = 0;
  const failed: Record<string, number> = {};
  // autocannon's own histogram knows whole milliseconds only.
  const times: number[] = [];
  // Dealt out, so that each connection has its own in rotation: to prepare all of them for each would take seconds.
  const setupClient = (client: autocannon.Client) => {
    const hand = dealt++ % Math.min(connections, headers.length);
    const own = headers.filter((_, index) => index % connections === hand);
    client.setRequests(own.map((each) => ({ path, headers: each })));
  };
  // With a callback it gives the instance, without one a promise.
  const instance = autocannon({ url, connections, amount, setupClient }, () => undefined);
  const startedAt = performance.now();
  let answeredAt = startedAt;
  instance.on('response', (_client, status, _bytes, time) => {
    if (status === 200) ok += 1;
    else failed[status] = (failed[status] ?? 0) + 1;
    times.push(time);
    answeredAt = performance.now();
  });
  // Its own end comes with the next tick of its clock, up to a second after the last answer.
  await once(instance, 'done');
  const unanswered = amount - times.length;
  if (unanswered > 0) failed['unanswered'] = unanswered;
  const seconds = (answeredAt - startedAt) / 1_000;
  return { ok, failed, seconds, p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}
