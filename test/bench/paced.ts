import { once } from 'node:events';
import { constants, setPriority } from 'node:os';
import { CLOSED, openConnection, requestOf } from './connection.ts';
import type { Measured, Order } from './wrk.ts';
import { quantile } from './report.ts';

/** An order to send requests at a fixed rate, independent of the responses. */
export interface PacedOrder extends Order {
  /** Requests a second. */
  readonly rate: number;
}

/** Each time counts from when the request was due, so that a stalled server is charged for every request that waits. */
export interface PacedMeasured extends Measured {
  /** Requests that were due but had no free connection before the end. */
  readonly unsent: number;
  /** The delay of the generator itself, which is a part of the times above. */
  readonly ownP50: number;
  readonly ownP99: number;
}

/** The shortest timer of Node. */
const TICK_MS = 1;

const [order] = (await once(process, 'message')) as [PacedOrder];
preferOurselves();
const measured = await run(order);
process.send?.(measured, () => process.disconnect?.());

async function run({ url, requests: ordered, connections, rate, seconds }: PacedOrder): Promise<PacedMeasured> {
  const requests = ordered.map((request) => requestOf(url, request));
  const free = await Promise.all(Array.from({ length: connections }, () => openConnection(url)));
  const total = Math.round(rate * seconds);
  const times: number[] = [];
  const own: number[] = [];
  let sent = 0;
  let ok = 0;
  const failed: Record<string, number> = {};
  let isStarved = false;
  const startedAt = performance.now();

  /** Sends the requests that are due, as long as there are free connections. */
  const pump = () => {
    for (const now = performance.now(); free.length > 0 && sent < total;) {
      const due = startedAt + (sent / rate) * 1000;
      if (due > now) break;
      if (!isStarved) own.push(now - due);
      const connection = free.pop()!;
      connection.ask(requests[sent++ % requests.length]!, (outcome) => {
        times.push(performance.now() - due);
        if (outcome === 200) ok += 1;
        else failed[outcome] = (failed[outcome] ?? 0) + 1;
        // A closed connection is not used again; its due requests stay unsent, so that the run ends.
        if (outcome !== CLOSED) free.push(connection);
        if (!isOver()) pump();
      });
    }
    isStarved = free.length === 0;
  };
  const isOver = () => performance.now() - startedAt > seconds * 1000;

  for (let wasOver = false; times.length < sent || !wasOver; await tick()) {
    // One last time after the end, for the requests that became due since the last tick.
    if (!wasOver) pump();
    wasOver ||= isOver();
  }
  const took = (performance.now() - startedAt) / 1000;
  for (const connection of free) connection.end();
  return {
    ok,
    failed,
    cutOff: 0,
    unsent: total - sent,
    seconds: took,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    ownP50: quantile(own, 0.5),
    ownP99: quantile(own, 0.99),
  };
}

function tick(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, TICK_MS));
}

/**
 * Raises our priority. Real callers run on other machines, so time spent waiting for PostgreSQL to leave our core must
 * not count as response time.
 */
function preferOurselves(): void {
  try {
    setPriority(constants.priority.PRIORITY_HIGH);
  } catch {
    // Without the required privilege, the times are a little worse.
  }
}
