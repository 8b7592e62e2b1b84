import { once } from 'node:events';
import { connect } from 'node:net';

/** What a request that was not answered counts as, in the place of a status. */
export const CLOSED = 'closed';

/** One connection with one request under way at the most. A fuller HTTP client takes time from what is measured. */
export interface Connection {
  /** Calls back once: with the status, or with `CLOSED` where the connection ends before the response. */
  ask(request: string, onResponse: (outcome: number | typeof CLOSED) => void): void;
  end(): void;
}

export async function openConnection(url: string): Promise<Connection> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  let received = '';
  let waiting: ((outcome: number | typeof CLOSED) => void) | undefined;
  const settle = (outcome: number | typeof CLOSED) => {
    const onResponse = waiting;
    waiting = undefined;
    onResponse?.(outcome);
  };
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text;
    const status = statusOf(received);
    if (status === undefined) return;
    received = '';
    settle(status);
  });
  // It comes before 'close', which says all that is to be known.
  socket.on('error', () => undefined);
  socket.on('close', () => settle(CLOSED));
  return {
    ask: (request, onResponse) => {
      if (socket.destroyed) {
        // Not at once: whoever asks in a loop would never leave it.
        setImmediate(onResponse, CLOSED);
        return;
      }
      waiting = onResponse;
      socket.write(request, 'latin1');
    },
    end: () => socket.destroy(),
  };
}

export function requestOf(url: string, path: string, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ host: new URL(url).host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** Of a response that is complete. Fastify says of each how long it is. */
function statusOf(response: string): number | undefined {
  const head = response.indexOf('\r\n\r\n');
  if (head === -1) return undefined;
  const length = /\r\ncontent-length: (\d+)/i.exec(response)?.[1];
  if (length === undefined) throw new Error('A response without a length');
  return response.length < head + 4 + Number(length) ? undefined : Number(response.slice(9, 12));
}
