import { createHash } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

/** A request as it arrived through the gateway. */
export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** Every header name as it was sent. */
  readonly names: readonly string[];
  readonly body: Buffer;
}

/** An API behind the gateway. It responds to every request with 200, accepts WebSockets and remembers every request. */
export interface Upstream {
  readonly port: number;
  readonly received: Received[];
  /** The response of the API. Tests can replace it. */
  response: { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string };
  /** How many connections were made to the API. */
  connections(): number;
  stop(): void;
}

export const PLAIN = { status: 200, headers: {}, body: 'the response of the API' };

export async function startUpstream(): Promise<Upstream> {
  const received: Received[] = [];
  const sockets = new Set<Duplex>();
  let connections = 0;
  let upstream: Upstream;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request
      .on('data', (chunk: Buffer) => chunks.push(chunk))
      .on('end', () => {
        received.push(whatCame(request, Buffer.concat(chunks)));
        response.writeHead(upstream.response.status, upstream.response.headers).end(upstream.response.body);
      });
  });
  server.on('connection', (socket) => {
    connections++;
    sockets.add(socket.on('close', () => sockets.delete(socket)));
  });
  server.on('upgrade', (request, socket) => {
    received.push(whatCame(request, Buffer.alloc(0)));
    const accept = createHash('sha1')
      .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.on('data', (frame: Buffer) => socket.write(echoOf(frame)));
    socket.on('error', () => undefined);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  upstream = {
    port: (server.address() as AddressInfo).port,
    received,
    response: PLAIN,
    connections: () => connections,
    stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  return upstream;
}

function whatCame(
  {
    method,
    url,
    headers,
    rawHeaders,
  }: { method?: string; url?: string; headers: IncomingHttpHeaders; rawHeaders: string[] },
  body: Buffer,
): Received {
  return { method: method!, url: url!, headers, names: rawHeaders.filter((_, index) => index % 2 === 0), body };
}

/** Echoes a short text frame without its mask (RFC 6455, section 5.2). It also echoes a closing frame. */
function echoOf(frame: Buffer): Buffer {
  const length = frame[1]! & 0x7f;
  const mask = frame.subarray(2, 6);
  const text = frame.subarray(6, 6 + length).map((byte, index) => byte ^ mask[index % 4]!);
  return Buffer.concat([Buffer.from([frame[0]!, length]), text]);
}
