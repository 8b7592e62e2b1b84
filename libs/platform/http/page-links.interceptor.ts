import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { SEARCHED_TEXTS, searchTermOf } from '#libs/api-key-format/search-term.js';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { tap, type Observable } from 'rxjs';
import { Config } from '../config.js';

interface Cursors {
  readonly next_cursor?: string | null;
  readonly previous_cursor?: string | null;
}

/**
 * Adds `Link: <…>; rel="next"` (RFC 8288) for every `next_cursor`, and `rel="prev"` for every `previous_cursor`, for
 * clients that page without reading the body.
 */
@Injectable()
export class PageLinksInterceptor implements NestInterceptor {
  constructor(private readonly config: Config) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const http = context.switchToHttp();
    return next.handle().pipe(
      tap((response: Cursors | undefined) => {
        const links = [
          ...this.#link('next', response?.next_cursor, http.getRequest<FastifyRequest>()),
          ...this.#link('prev', response?.previous_cursor, http.getRequest<FastifyRequest>()),
        ];
        if (links.length > 0) void http.getResponse<FastifyReply>().header('link', links.join(', '));
      }),
    );
  }

  #link(relation: 'next' | 'prev', cursor: string | null | undefined, request: FastifyRequest): string[] {
    if (!cursor) return [];
    const url = new URL(request.url, this.config.publicUrl);
    url.searchParams.set('cursor', cursor);
    for (const name of SEARCHED_TEXTS) {
      const text = url.searchParams.get(name);
      if (text !== null) url.searchParams.set(name, searchTermOf(text));
    }
    return [`<${this.config.publicUrl}${url.pathname}${url.search}>; rel="${relation}"`];
  }
}
