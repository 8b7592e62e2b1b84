import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import pLimit, { type LimitFunction } from 'p-limit';

/** A response as received. */
export interface RawResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Ends a request that hangs. */
const ANSWERED_WITHIN_MS = 30_000;

/** A connection that sends any bytes, including those that no HTTP client would send. */
export class RawConnection {
  #received = Buffer.alloc(0);
  readonly #closed: Promise<unknown>;
  #onChange = () => {};

  private constructor(private readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#onChange();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => this.#onChange());
    this.#closed = once(socket, 'close');
  }

  static async open(url: string): Promise<RawConnection> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port) });
    const connection = new RawConnection(socket);
    await once(socket, 'connect');
    return connection;
  }

  get isOpen(): boolean {
    return !this.socket.destroyed;
  }

  /** Received bytes that have not been parsed yet. */
  get pending(): string {
    return this.#received.toString('latin1');
  }

  send(bytes: string | Uint8Array): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** Reads the next response. @throws Error if the connection closes before the response is complete */
  async response({ withoutBody = false } = {}): Promise<RawResponse> {
    for (;;) {
      const parsed = parseResponse(this.#received, withoutBody);
      if (parsed) {
        this.#received = this.#received.subarray(parsed.length);
        return parsed.response;
      }
      if (!this.isOpen) throw new Error(`The connection was closed after ${JSON.stringify(this.pending)}`);
      await this.#change();
    }
  }

  /** Resolves when something arrives or the connection closes. Files with thousands of requests wait here. */
  #change(): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`No response, but ${JSON.stringify(this.pending)}`)),
        ANSWERED_WITHIN_MS,
      );
      this.#onChange = () => {
        clearTimeout(late);
        resolve();
      };
    });
  }

  /** Whether the server closes the connection within this time. */
  async closesWithin(milliseconds: number): Promise<boolean> {
    return Promise.race([this.#closed.then(() => true), sleep(milliseconds, false)]);
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Sends requests of any bytes one after the other, and reconnects only if the server closed the connection. */
export class RawClient {
  #connection: RawConnection | undefined;

  constructor(private readonly url: string) {}

  async request(bytes: string | Uint8Array): Promise<RawResponse> {
    if (!this.#connection?.isOpen) this.#connection = await RawConnection.open(this.url);
    this.#connection.send(bytes);
    const withoutBody = Buffer.from(bytes as string)
      .toString('latin1')
      .startsWith('HEAD ');
    const response = await this.#connection.response({ withoutBody });
    if (response.headers['connection'] === 'close') this.close();
    return response;
  }

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }
}

/** Sends requests of any bytes over several connections: one alone waits for the database more than it computes. */
export class RawClients {
  readonly #free: RawClient[];
  readonly #limit: LimitFunction;

  constructor(url: string, count = 8) {
    this.#free = Array.from({ length: count }, () => new RawClient(url));
    this.#limit = pLimit(count);
  }

  request(bytes: string | Uint8Array): Promise<RawResponse> {
    return this.#limit(async () => {
      const client = this.#free.pop()!;
      try {
        return await client.request(bytes);
      } finally {
        this.#free.push(client);
      }
    });
  }

  /** While no request is in progress. */
  close(): void {
    for (const client of this.#free) client.close();
  }
}

/** Sends one request of these bytes on its own connection. */
export async function rawRequest(url: string, bytes: string | Uint8Array): Promise<RawResponse> {
  const client = new RawClient(url);
  try {
    return await client.request(bytes);
  } finally {
    client.close();
  }
}

function parseResponse(received: Buffer, withoutBody: boolean) {
  const end = received.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [statusLine, ...lines] = received.subarray(0, end).toString('latin1').split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  const status = Number(statusLine!.split(' ')[1]);
  const rest = received.subarray(end + 4);
  const body = withoutBody || status === 204 || status === 304 ? { text: '', length: 0 } : bodyOf(rest, headers);
  return body && { response: { status, headers, body: body.text }, length: end + 4 + body.length };
}

function bodyOf(rest: Buffer, headers: Readonly<Record<string, string>>) {
  if (headers['transfer-encoding'] === 'chunked') {
    const end = rest.indexOf('0\r\n\r\n');
    if (end === -1) return undefined;
    // Keeps the chunks unparsed: no test looks at the content of a stream.
    return { text: rest.subarray(0, end).toString('utf8'), length: end + 5 };
  }
  const length = Number(headers['content-length'] ?? 0);
  return rest.length < length ? undefined : { text: rest.subarray(0, length).toString('utf8'), length };
}
