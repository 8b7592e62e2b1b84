import { STATUS_CODES } from 'node:http';
import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply } from 'fastify';

/** Why a request is rejected: `code` for programs, `detail` for people. */
export class Rejection extends HttpException {
  constructor(
    status: number,
    readonly code: string,
    detail: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail, status);
  }
}

/** Responds to every error as problem details (RFC 9457). */
@Catch(HttpException)
export class ProblemFilter implements ExceptionFilter<HttpException> {
  catch(error: HttpException, host: ArgumentsHost): void {
    const status = error.getStatus();
    const rejection = error instanceof Rejection ? error : undefined;
    const problem = {
      type: 'about:blank',
      title: STATUS_CODES[status],
      status,
      detail: detailOf(error),
      code: rejection?.code,
    };
    void host
      .switchToHttp()
      .getResponse<FastifyReply>()
      .status(status)
      .headers(rejection?.headers ?? {})
      .type('application/problem+json')
      .send(JSON.stringify(problem));
  }
}

/** Nest's own errors, such as a failed validation, have their message in the response. */
function detailOf(error: HttpException): string {
  const { message } = Object(error.getResponse()) as { message?: string | string[] };
  return [message ?? error.message].flat().join('; ');
}
