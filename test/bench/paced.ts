import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { constants, setPriority } from 'node:os';
import type { Measured, Order } from './load.js';
import { quantile } from './report.ts';

/** Requests at a rate that the answers have no say in. */
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

/*
 * autocannon's rate is none: each connection sends its share of a second at the second's beginning, and its times are from
 * the sending. And what a fuller HTTP client does for a request would be taken from PostgreSQL, whose core we share.
 */
const [order] = (await once(process, 'message')) as [PacedOrder];
preferOurselves();
const measured = await run(order);
process.send?.(measured, () => process.disconnect?.());

async function run({ url, path, connections, rate, seconds, headers }: PacedOrder): Promise<PacedMeasured> {
  const requests = headers.map((own) => requestOf(path, { host: new URL(url).host, ...own }));
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
      connection.ask(requests[sent++ % requests.length]!, (status) => {
        times.push(performance.now() - due);
        if (status === 200) ok += 1;
        else failed[status] = (failed[status] ?? 0) + 1;
        free.push(connection);
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

interface Connection {
  ask(request: string, onAnswer: (status: number) => void): void;
  end(): void;
}

async function openConnection(url: string): Promise<Connection> {
  const { hostname, port } = new URL(url);
  const socket: Socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  let received = '';
  let answer: ((status: number) => void) | undefined;
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text;
    const status = statusOf(received);
    if (status === undefined) return;
    received = '';
    answer?.(status);
  });
  return {
    ask: (request, onAnswer) => {
      answer = onAnswer;
      socket.write(request, 'latin1');
    },
    end: () => socket.destroy(),
  };
}

/** Of an answer that is complete. Fastify says of each how long it is. */
function statusOf(answer: string): number | undefined {
  const head = answer.indexOf('\r\n\r\n');
  if (head === -1) return undefined;
  const length = /\r\ncontent-length: (\d+)/i.exec(answer)?.[1];
  if (length === undefined) throw new Error('An answer without a length');
  return answer.length < head + 4 + Number(length) ? undefined : Number(answer.slice(9, 12));
}

function requestOf(path: string, headers: Record<string, string>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
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
