import { once } from 'node:events';
import { constants, setPriority } from 'node:os';
import { CLOSED, openConnection, requestOf } from './connection.ts';
import type { Measured, Order } from './load.js';
import { quantile } from './report.ts';

/** Requests at a rate that the responses have no say in. */
export interface PacedOrder extends Omit<Order, 'amount'> {
  /** A second. */
  readonly rate: number;
  readonly seconds: number;
}

/** Each time is from when a request was due: a server that stalls is charged for all whom it keeps waiting. */
export interface PacedMeasured extends Measured {
  /** Due, and without a free connection until the time was over. */
  readonly unsent: number;
  /** How late the generator was by itself: a part of the times above. */
  readonly ownP50: number;
  readonly ownP99: number;
}

/** The finest that a timer of Node has. */
const TICK_MS = 1;

const [order] = (await once(process, 'message')) as [PacedOrder];
preferOurselves();
const measured = await run(order);
process.send?.(measured, () => process.disconnect?.());

async function run({ url, path, connections, rate, seconds, headers }: PacedOrder): Promise<PacedMeasured> {
  const requests = headers.map((own) => requestOf(url, path, own));
  const free = await Promise.all(Array.from({ length: connections }, () => openConnection(url)));
  const total = Math.round(rate * seconds);
  const times: number[] = [];
  const own: number[] = [];
  let sent = 0;
  let ok = 0;
  const failed: Record<string, number> = {};
  let isStarved = false;
  const startedAt = performance.now();

  /** Sends what is due, as far as there are connections. */
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
        // What was due on a connection that is gone stays unsent, so that the run ends.
        if (outcome !== CLOSED) free.push(connection);
        if (!isOver()) pump();
      });
    }
    isStarved = free.length === 0;
  };
  const isOver = () => performance.now() - startedAt > seconds * 1000;

  for (let wasOver = false; times.length < sent || !wasOver; await tick()) {
    // Once more when it is over: what was due since the last time has had no chance yet.
    if (!wasOver) pump();
    wasOver ||= isOver();
  }
  const took = (performance.now() - startedAt) / 1000;
  for (const connection of free) connection.end();
  return {
    ok,
    failed,
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

/** Callers live on machines of their own: what one waits for PostgreSQL to leave our core is no time of the service. */
function preferOurselves(): void {
  try {
    setPriority(constants.priority.PRIORITY_HIGH);
  } catch {
    // That takes a privilege, and without it the times are a little worse.
  }
}
