import { DeadlockException } from '@mikro-orm/core';
import { Catch, HttpException, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { Config } from '../config.js';
import { isDatabaseAway } from '#libs/database/database.js';
import { errorStack } from '../error-text.js';
import { problems } from '#libs/contract/problem.js';
import { DomainError, invalidInput } from '../errors.js';
import { problemHeaders, problemOf } from './problem.js';

/** Turns any exception into problem details (RFC 9457). */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger = new Logger(ProblemFilter.name);

  constructor(private readonly config: Config) {}

  catch(exception: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    respondWithProblem(exception, request, http.getResponse<FastifyReply>(), this.config.publicUrl, this.#logger);
  }
}

/** Also for exceptions that Nest's filters do not see: from a hook on a route that Nest does not know. */
export function respondWithProblem(
  exception: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  publicUrl: string,
  logger: Logger,
): void {
  const { path, requestId } = request.context;
  const error = explain(exception, `${request.method} ${path} failed (${requestId})`, logger);
  const problem = problemOf(error, publicUrl, requestId);
  const rejections = request.routeOptions.config.implements?.rejections;
  const status = rejections?.statuses[error.code] ?? problem.status;
  void reply
    .status(status)
    .headers(problemHeaders(error, status))
    .type(rejections ? 'application/json' : 'application/problem+json')
    .send(JSON.stringify(rejections ? rejections.present(problem) : problem));
}

/**
 * Logs an error of status 500, with its cause. Only the log shows the cause, never the caller.
 * @param what what went wrong, for the log
 */
export function explain(exception: unknown, what: string, logger: Logger): DomainError {
  const error = asDomainError(exception);
  if (problems[error.code].status === 500) {
    logger.error(what, errorStack(exception));
  }
  return error;
}

export function asDomainError(exception: unknown): DomainError {
  if (exception instanceof DomainError) return exception;
  if (isDatabaseAway(exception)) return new DomainError('database_unavailable', undefined, { retryAfter: 1 });
  // The change was retried several times before this: too many callers want the same rows.
  if (exception instanceof DeadlockException)
    return new DomainError('database_unavailable', undefined, { retryAfter: 1 });
  const status =
    exception instanceof HttpException ? exception.getStatus() : (exception as FastifyError | null)?.statusCode;
  switch (status) {
    case 400:
      return invalidInput({ location: 'body', message: 'could not be read as its headers describe it' });
    // For a dashboard file: a folder, or a path outside the dashboard's directory.
    case 403:
    case 404:
      return new DomainError('not_found', 'There is no such path');
    case 412:
      return new DomainError('precondition_failed');
    case 413:
      return new DomainError('payload_too_large');
    case 415:
      return new DomainError('unsupported_media_type');
    case 416:
      return invalidInput({ location: 'headers.range', message: 'must lie within the file, or be left out' });
    default:
      return new DomainError('internal_error');
  }
}
