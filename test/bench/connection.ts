import { once } from 'node:events';
import { connect } from 'node:net';

/** The outcome of a request without a response, instead of a status. */
export const CLOSED = 'closed';

/** A connection with at most one pending request. A complete HTTP client would use CPU time that the server needs. */
export interface Connection {
  /** Calls back once: with the status, or with `CLOSED` if the connection ends before the response. */
  ask(request: string, onResponse: (outcome: number | typeof CLOSED) => void): void;
  end(): void;
}

/** A request to measure with. */
export interface Request {
  readonly method?: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
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
  // 'close' follows and has all the information.
  socket.on('error', () => undefined);
  socket.on('close', () => settle(CLOSED));
  return {
    ask: (request, onResponse) => {
      if (socket.destroyed) {
        // Not synchronously, because a caller that loops would never return.
        setImmediate(onResponse, CLOSED);
        return;
      }
      waiting = onResponse;
      socket.write(request, 'latin1');
    },
    end: () => socket.destroy(),
  };
}

/** The bytes of a request. All its texts are ASCII. */
export function requestOf(url: string, { method = 'GET', path, headers, body }: Request): string {
  const ofBody = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': `${body.length}` };
  const all = { host: new URL(url).host, ...headers, ...ofBody };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body ?? ''}`;
}

/** The status of a complete response. Fastify sends the length of every response. */
function statusOf(response: string): number | undefined {
  const head = response.indexOf('\r\n\r\n');
  if (head === -1) return undefined;
  const length = /\r\ncontent-length: (\d+)/i.exec(response)?.[1];
  if (length === undefined) throw new Error('A response without a length');
  return response.length < head + 4 + Number(length) ? undefined : Number(response.slice(9, 12));
}
