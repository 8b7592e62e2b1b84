import { Catch, HttpException, Inject, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { Rejection } from '#libs/verify/verifier.js';

/**
 * Thrown for a request that must not pass. `getResponse()` is problem details (RFC 9457), and the headers of the response are
 * set already, for an exception filter of your own.
 */
export class ApiKeyRejected extends HttpException {
  constructor(readonly rejection: Rejection) {
    super(JSON.parse(rejection.body) as object, rejection.status);
    this.message = rejection.detail;
  }
}

/** Sends the text as it is: on Express, Nest 11 labels an object `application/json`, and logs a warning. */
@Catch(ApiKeyRejected)
export class ApiKeyRejectedFilter implements ExceptionFilter<ApiKeyRejected> {
  constructor(@Inject(HttpAdapterHost) private readonly host: HttpAdapterHost) {}

  catch({ rejection }: ApiKeyRejected, context: ArgumentsHost): void {
    this.host.httpAdapter.reply(context.switchToHttp().getResponse(), rejection.body, rejection.status);
  }
}
