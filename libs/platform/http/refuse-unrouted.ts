import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { Problem } from '#libs/contract/problem.js';
import { DomainError, invalidInput } from '../errors.js';
import { acceptRequestId } from '../request-context.js';
import { problemOf } from './problem.js';

/*
 * Rejections of what never reaches a route: no hook runs for it and no filter. The responses of Node and of Fastify's router
 * are no problem details, and the router's repeats a URL with all that is in it.
 */

/** How long a refused client may take to read why. */
const LINGER_MS = 1_000;

export function refuseRequest(
  publicUrl: string,
  error: DomainError,
  { headers }: IncomingMessage,
  response: ServerResponse,
): void {
  const problem = problemOf(error, publicUrl, acceptRequestId(headers['x-request-id']));
  const body = JSON.stringify(problem);
  response.writeHead(problem.status, headersOf(problem, body)).end(body);
}

/** Of what could not be read as a request, so that there is no response to write to. */
export function refuseOnSocket(publicUrl: string, error: DomainError, socket: Socket): void {
  const problem = problemOf(error, publicUrl, acceptRequestId(undefined));
  const body = JSON.stringify(problem);
  const headers = Object.entries({ ...headersOf(problem, body), connection: 'close' });
  const head = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.end(`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n${head}\r\n${body}`);
  // To destroy it at once might reset the connection before the client has read the response.
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

/** What Fastify's router refuses. */
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
