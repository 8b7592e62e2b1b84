import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../config.js';
import { DomainError, invalidInput } from '../errors.js';
import { acceptRequestId } from '../request-context.js';
import { problemOf } from './problem.js';

/** The router refuses before any hook runs; its own answer is no problem, and repeats a URL with all that is in it. */
export function refuseUrl(config: Config) {
  return ({ code }: FastifyError, { headers }: FastifyRequest, { raw }: FastifyReply): void => {
    const error =
      code === 'FST_ERR_BAD_URL'
        ? invalidInput({ location: 'path', message: 'must be percent-encoded as UTF-8' })
        : new DomainError('not_found', 'There is no such path');
    const requestId = acceptRequestId(headers['x-request-id']);
    const problem = problemOf(error, config.publicUrl, requestId);
    raw
      .writeHead(problem.status, {
        'content-type': 'application/problem+json',
        'x-request-id': requestId,
        'cache-control': 'no-store',
      })
      .end(JSON.stringify(problem));
  };
}
