import { DeadlockException } from '@mikro-orm/core';
import { Catch, HttpException, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { problems, type Problem } from '#libs/contract/problem.js';
import { Config } from '../config.js';
import { isDatabaseAway } from '../database.js';
import { DomainError, invalidInput } from '../errors.js';

/** Turns whatever was thrown into problem details (RFC 9457). What we did not foresee is logged and told to nobody. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger = new Logger(ProblemFilter.name);

  constructor(private readonly config: Config) {}

  catch(exception: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const error = asDomainError(exception);
    if (error.code === 'internal_error') {
      this.#logger.error(
        `${request.method} ${request.context.path} failed (${request.context.requestId})`,
        exception instanceof Error ? exception.stack : String(exception),
      );
    }
    const problem = toProblem(error, this.config.publicUrl, request.context.requestId);
    const refusals = request.routeOptions.config.implements?.refusals;
    const status = refusals?.statuses[error.code] ?? problem.status;
    void reply
      .status(status)
      .headers(headersOf(error, status))
      .type(refusals ? 'application/json' : 'application/problem+json')
      .send(JSON.stringify(refusals ? refusals.present(problem) : problem));
  }
}

function toProblem(error: DomainError, publicUrl: string, requestId: string): Problem {
  const { status, title } = problems[error.code];
  return {
    type: `${publicUrl}/problems/${error.code}`,
    title,
    status,
    detail: error.message,
    code: error.code,
    request_id: requestId,
    ...(error.extra.errors && { errors: [...error.extra.errors] }),
  };
}

function asDomainError(exception: unknown): DomainError {
  if (exception instanceof DomainError) return exception;
  if (isDatabaseAway(exception)) return new DomainError('database_unavailable', undefined, { retryAfter: 1 });
  // Several times in a row, or it would have been made again: the server is overrun by those who want the same.
  if (exception instanceof DeadlockException)
    return new DomainError('database_unavailable', undefined, { retryAfter: 1 });
  const status = exception instanceof HttpException ? exception.getStatus() : (exception as FastifyError)?.statusCode;
  switch (status) {
    case 400:
      return invalidInput({ location: 'body', message: 'must be valid JSON' });
    case 404:
      return new DomainError('not_found', 'There is no such path');
    case 413:
      return new DomainError('payload_too_large');
    case 415:
      return new DomainError('unsupported_media_type');
    default:
      return new DomainError('internal_error');
  }
}

function headersOf(error: DomainError, status: number): Record<string, string> {
  return {
    ...(error.extra.retryAfter !== undefined && { 'retry-after': String(error.extra.retryAfter) }),
    ...challenge(error, status),
  };
}

/** RFC 6750, section 3: no `error` when no credential was sent. */
function challenge({ code, extra: { scope } }: DomainError, status: number): Record<string, string> {
  const realm = 'Bearer realm="keyledger"';
  if (code === 'unauthenticated') return { 'www-authenticate': realm };
  if (code === 'insufficient_scope') {
    return { 'www-authenticate': `${realm}, error="insufficient_scope"${scope ? `, scope="${scope}"` : ''}` };
  }
  return status === 401 ? { 'www-authenticate': `${realm}, error="invalid_token"` } : {};
}
