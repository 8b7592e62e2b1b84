import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { DomainError, invalidInput } from '../errors.js';
import { PlainCounter } from '../metrics.js';
import { HTTP_LIMITS, type HttpLimits } from './http-limits.js';
import { refuseOnSocket, refuseRequest } from './refuse-unrouted.js';
import { requestFault } from './request-target.js';

const dropped = new PlainCounter(
  'keyledger_http_connections_dropped_total',
  'Connections closed as they came, because there were too many',
).of({});

/**
 * A server with every limit of ours, which Fastify does not set where it is given a server. What Node or we refuse before
 * a request is routed is answered as problem details, too.
 */
export function createHttpServer(publicUrl: string, answer: RequestListener, limits: HttpLimits = HTTP_LIMITS): Server {
  const { maxConnections, ...options } = limits;
  const server = createServer(
    // The host is checked with the rest of the request, so that its rejection is a problem like any other.
    // Of headers that come twice Node would otherwise keep the first of some, and make a list of others.
    { ...options, requireHostHeader: false, joinDuplicateHeaders: true },
    (request, response) => {
      const fault = requestFault(request);
      if (fault) refuseRequest(publicUrl, invalidInput(fault), request, response);
      else answer(request, response);
    },
  );
  server.maxConnections = maxConnections;
  // Node would drop what is beyond 2,000 headers without a word, those that a gateway adds included; their size is bounded.
  server.maxHeadersCount = 0;
  // A limit of requests would be answered 503 where a request is on its way when the limit is reached.
  server.maxRequestsPerSocket = 0;
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
    // Node's own handler looks there as well: behind the beginning of a response nothing else can be said.
    const { _httpMessage: response } = socket as { _httpMessage?: ServerResponse };
    if (error.code === 'ECONNRESET' || !socket.writable || response?.headersSent) socket.destroy();
    else refuseOnSocket(publicUrl, unreadable(error.code), socket);
  });
  return server;
}

/** What Node's parser stumbled over, without a byte of what it read. */
function unreadable(code: string | undefined): DomainError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new DomainError('request_timeout');
  if (code === 'HPE_HEADER_OVERFLOW') return new DomainError('headers_too_large');
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return new DomainError('payload_too_large');
  return new DomainError('invalid_request', 'The request is not HTTP/1.1');
}
