import { once } from 'node:events';
import { CLOSED, openConnection, requestOf, type Connection } from './connection.ts';
import { quantile } from './report.ts';

/** The order for a run. A run ends after a number of requests instead of a time, so that all have a response. */
export interface Order {
  readonly url: string;
  readonly path: string;
  readonly connections: number;
  readonly amount: number;
  /** The headers of the requests, in rotation. */
  readonly headers: readonly Record<string, string>[];
}

/** Times are in milliseconds. */
export interface Measured {
  readonly ok: number;
  /** The number of responses other than 200, by status. */
  readonly failed: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
}

// Each run has its own process, so that memory left by earlier runs does not affect it.
const [order] = (await once(process, 'message')) as [Order];
const measured = await run(order);
process.send?.(measured, () => process.disconnect?.());

/**
 * Sends requests as fast as the responses come: each connection has one pending request. If the server closes a
 * connection, that request counts as failed and the others continue; if all are closed, the rest stays unsent.
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
