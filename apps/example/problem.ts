import { STATUS_CODES } from 'node:http';
import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { ApiKeyRejected } from '#libs/nest/keyledger.module.js';

/** Responds to every error as problem details (RFC 9457). */
@Catch(HttpException)
export class ProblemFilter implements ExceptionFilter<HttpException> {
  catch(error: HttpException, host: ArgumentsHost): void {
    void host
      .switchToHttp()
      .getResponse<FastifyReply>()
      .status(error.getStatus())
      .type('application/problem+json')
      .send(error instanceof ApiKeyRejected ? error.rejection.body : JSON.stringify(problemOf(error)));
  }
}

function problemOf(error: HttpException) {
  const status = error.getStatus();
  return { type: 'about:blank', title: STATUS_CODES[status], status, detail: detailOf(error) };
}

/** Nest's own errors, such as a failed validation, have their message in the response. */
function detailOf(error: HttpException): string {
  const { message } = Object(error.getResponse()) as { message?: string | string[] };
  return [message ?? error.message].flat().join('; ');
}
