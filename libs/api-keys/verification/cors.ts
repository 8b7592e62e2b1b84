import { Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { RequestContext } from '#libs/platform/request-context.js';
import { AllowedOrigins } from './allowed-origins.js';

const METHODS = 'GET, POST, PATCH, DELETE';
const REQUEST_HEADERS =
  'authorization, content-type, idempotency-key, if-match, last-event-id, x-api-key, x-request-id';
const RESPONSE_HEADERS = 'etag, idempotent-replayed, link, retry-after, www-authenticate, x-request-id';
const VARY = { vary: 'Origin' };
/** For how long a browser may still send requests from a removed origin. Chromium's maximum is two hours. */
const MAX_AGE_SECONDS = 600;

/**
 * Cross-origin requests (Fetch, section 3.2) of pages that use keys. A preflight carries no key, so it succeeds if any
 * active key allows the origin. A page can read a response only if the key of that request allows its origin. CORS
 * grants no rights: the verification decides, whatever the browser does.
 */
@Injectable()
export class Cors implements OnModuleInit {
  constructor(
    private readonly host: HttpAdapterHost,
    private readonly allowedOrigins: AllowedOrigins,
  ) {}

  onModuleInit(): void {
    const server = this.host.httpAdapter.getInstance<FastifyInstance>();
    server.addHook('onRequest', async (request, reply) => {
      if (isPreflight(request)) await this.#respondToPreflight(request, reply);
    });
    server.addHook('onSend', async (request, reply) => {
      void reply.headers(corsHeaders(request.context, request.headers.origin));
    });
  }

  async #respondToPreflight(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { origin } = request.headers;
    if (await this.allowedOrigins.has(origin!)) {
      void reply.headers({
        'access-control-allow-origin': origin,
        'access-control-allow-methods': METHODS,
        'access-control-allow-headers': REQUEST_HEADERS,
        'access-control-max-age': MAX_AGE_SECONDS,
      });
    }
    await reply.status(204).send();
  }
}

/** The headers of a response. @param origin the header of the request */
export function corsHeaders({ originAllowed }: RequestContext, origin: string | undefined): Record<string, string> {
  if (!originAllowed) return VARY;
  return { ...VARY, 'access-control-allow-origin': origin!, 'access-control-expose-headers': RESPONSE_HEADERS };
}

function isPreflight({ method, headers }: FastifyRequest): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined;
}
