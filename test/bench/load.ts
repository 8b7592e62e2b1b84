import { once } from 'node:events';
import { CLOSED, openConnection, requestOf, type Connection } from './connection.ts';
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

/**
 * As fast as the responses come: each connection has one question under way, and sends the next when it is answered. One
 * that the server closes has failed, and the others do its work; where all are closed, the rest stays unsent.
 */
async function run({ url, path, connections, amount, headers }: Order): Promise<Measured> {
  const requests = headers.map((own) => requestOf(url, path, own));
  const open = await Promise.all(Array.from({ length: connections }, () => openConnection(url)));
  const times: number[] = [];
  const failed: Record<string, number> = {};
  let ok = 0;
  let sent = 0;
  const startedAt = performance.now();
  const work = (connection: Connection) =>
    new Promise<void>((resolve) => {
      const next = () => {
        if (sent === amount) return resolve();
        const sentAt = performance.now();
        connection.ask(requests[sent++ % requests.length]!, (outcome) => {
          if (outcome === 200) ok += 1;
          else failed[outcome] = (failed[outcome] ?? 0) + 1;
          if (outcome === CLOSED) return resolve();
          times.push(performance.now() - sentAt);
          next();
        });
      };
      next();
    });
  await Promise.all(open.map(work));
  const seconds = (performance.now() - startedAt) / 1_000;
  for (const connection of open) connection.end();
  if (sent < amount) failed['unsent'] = amount - sent;
  return { ok, failed, seconds, p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}
