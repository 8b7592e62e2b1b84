import { Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AllowedOrigins } from './allowed-origins.js';

const METHODS = 'GET, POST, PATCH, DELETE';
const REQUEST_HEADERS =
  'authorization, content-type, idempotency-key, if-match, last-event-id, x-api-key, x-request-id';
const ANSWER_HEADERS = 'etag, idempotent-replayed, link, retry-after, www-authenticate, x-request-id';
/** Chromium remembers a preflight for two hours at the most; this is how long an origin that was taken away goes on asking. */
const MAX_AGE_SECONDS = 600;

/**
 * Cross-origin requests (Fetch, section 3.2) of pages that use keys. A preflight carries no key, so it lets an origin ask
 * that some live key allows; the response is for a page to read only where the very key of the request allows its origin.
 * Nothing here lets a request do anything: that is decided without a browser.
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
      void reply.header('vary', 'Origin');
      if (!request.context.originAllowed) return;
      void reply.headers({
        'access-control-allow-origin': request.headers.origin,
        'access-control-expose-headers': ANSWER_HEADERS,
      });
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

function isPreflight({ method, headers }: FastifyRequest): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined;
}
