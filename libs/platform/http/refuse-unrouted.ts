import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { Problem } from '#libs/contract/problem.js';
import { DomainError, invalidInput } from '../errors.js';
import { acceptRequestId } from '../request-context.js';
import { problemOf } from './problem.js';

/*
 * Rejections of requests that never reach a route: no hook and no filter runs for them. The default responses of Node
 * and of Fastify's router are not problem details, and the router's repeats the URL with everything in it.
 */

/** How long a rejected client may take to read the reason. */
const LINGER_MS = 1_000;

export function refuseRequest(
  publicUrl: string,
  error: DomainError,
  { headers }: IncomingMessage,
  response: ServerResponse,
): void {
  const problem = problemOf(error, publicUrl, acceptRequestId(headers['x-request-id']));
  const body = JSON.stringify(problem);
  // A body with a transfer coding may end elsewhere than the sender thinks: do not read its rest as the next request.
  const connection = headers['transfer-encoding'] === undefined ? {} : { connection: 'close' };
  response.writeHead(problem.status, { ...headersOf(problem, body), ...connection }).end(body);
}

/** For input that could not be parsed as a request, so there is no response object. */
export function refuseOnSocket(publicUrl: string, error: DomainError, socket: Socket): void {
  const problem = problemOf(error, publicUrl, acceptRequestId(undefined));
  const body = JSON.stringify(problem);
  const headers = Object.entries({ ...headersOf(problem, body), connection: 'close' });
  const head = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.end(`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n${head}\r\n${body}`);
  // Destroying the socket at once might reset the connection before the client has read the response.
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

/** Handles errors of Fastify's router. */
export function refuseByRouter(publicUrl: string) {
  return ({ code }: FastifyError, request: FastifyRequest, reply: FastifyReply): void => {
    const error =
      code === 'FST_ERR_BAD_URL'
        ? invalidInput({ location: 'path', message: 'must be percent-encoded as UTF-8' })
        : new DomainError('not_found', 'There is no such path');
    refuseRequest(publicUrl, error, request.raw, reply.raw);
  };
}

function headersOf(problem: Problem, body: string): Record<string, string> {
  return {
    'content-type': 'application/problem+json',
    'content-length': String(Buffer.byteLength(body)),
    'x-request-id': problem.request_id,
    'cache-control': 'no-store',
  };
}
