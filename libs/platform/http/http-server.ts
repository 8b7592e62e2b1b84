import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { DomainError, invalidInput } from '../errors.js';
import { PlainCounter } from '../metrics.js';
import { HTTP_LIMITS, type HttpLimits } from './http-limits.js';
import { refuseOnSocket, refuseRequest } from './refuse-unrouted.js';
import { requestFault } from './request-target.js';

const dropped = new PlainCounter(
  'keyledger_http_connections_dropped_total',
  'Connections that were closed on arrival because there were too many',
).of({});

/**
 * A server with all our limits, which Fastify does not set on a server that is given to it. It also sends problem
 * details for requests that Node or this server rejects before routing.
 */
export function createHttpServer(publicUrl: string, serve: RequestListener, limits: HttpLimits = HTTP_LIMITS): Server {
  const { maxConnections, idleGrace, ...options } = limits;
  const server = createServer(
    // `requestFault` checks the host, so that its rejection is a problem like any other. Without joining, Node would
    // keep the first of some repeated headers and make a list of others.
    { ...options, requireHostHeader: false, joinDuplicateHeaders: true },
    (request, response) => {
      const fault = requestFault(request);
      if (fault) refuseRequest(publicUrl, invalidInput(fault), request, response);
      else serve(request, response);
    },
  );
  server.maxConnections = maxConnections;
  // Node would silently drop headers beyond 2,000, including those that a gateway adds. Their size is bounded.
  server.maxHeadersCount = 0;
  // With a limit, Node responds with 503 to a request that is on its way when the connection reaches the limit.
  server.maxRequestsPerSocket = 0;
  // Node would end idle connections at once, also one that it has just accepted and whose first request is on its way.
  const closeIdleConnections = server.closeIdleConnections.bind(server);
  server.closeIdleConnections = () => void setTimeout(closeIdleConnections, idleGrace).unref();
  server.on('drop', () => (dropped.value += 1));
  server.on('checkExpectation', (request, response) =>
    refuseRequest(
      publicUrl,
      invalidInput({ location: 'headers.expect', message: 'must be 100-continue, or left out' }),
      request,
      response,
    ),
  );
  server.on('connect', (_request, socket: Socket) =>
    refuseOnSocket(publicUrl, invalidInput({ location: 'method', message: 'must not be CONNECT' }), socket),
  );
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    // Node's own handler checks `_httpMessage` as well: after a response has begun, no other response can be sent.
    const { _httpMessage: response } = socket as { _httpMessage?: ServerResponse };
    if (error.code === 'ECONNRESET' || !socket.writable || response?.headersSent) socket.destroy();
    else refuseOnSocket(publicUrl, unreadable(error.code), socket);
  });
  return server;
}

/** Explains what Node's parser rejected, without a byte of the input. */
function unreadable(code: string | undefined): DomainError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new DomainError('request_timeout');
  if (code === 'HPE_HEADER_OVERFLOW') return new DomainError('headers_too_large');
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return new DomainError('payload_too_large');
  return new DomainError('invalid_request', 'The request is not HTTP/1.1');
}
