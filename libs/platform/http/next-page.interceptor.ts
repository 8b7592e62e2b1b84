import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { tap, type Observable } from 'rxjs';
import { Config } from '../config.js';

/** `Link: <…>; rel="next"` (RFC 8288) beside every `next_cursor`, for clients that page without reading the body. */
@Injectable()
export class NextPageInterceptor implements NestInterceptor {
  constructor(private readonly config: Config) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const http = context.switchToHttp();
    return next.handle().pipe(
      tap((answer: { next_cursor?: string | null } | undefined) => {
        if (!answer?.next_cursor) return;
        const url = new URL(http.getRequest<FastifyRequest>().url, this.config.publicUrl);
        url.searchParams.set('cursor', answer.next_cursor);
        void http
          .getResponse<FastifyReply>()
          .header('link', `<${this.config.publicUrl}${url.pathname}${url.search}>; rel="next"`);
      }),
    );
  }
}
