import fastifyCookie from '@fastify/cookie';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Config } from '../config.js';
import {
  acceptRequestId,
  MAX_ORIGIN,
  MAX_PATH,
  MAX_USER_AGENT,
  runInContext,
  type RequestContext,
} from '../request-context.js';
import { traceRequests } from '../tracing.js';

const BODY_LIMIT = 64 * 1024;

/** Fastify with our limits, request ids and the context in which a request is served. */
export function createHttpAdapter(config: Config): FastifyAdapter {
  const adapter = new FastifyAdapter({
    bodyLimit: BODY_LIMIT,
    trustProxy: config.settings.TRUST_PROXY ?? false,
    // A connection that is closed while we stop would otherwise be kept open by its client.
    forceCloseConnections: 'idle',
  });
  const server = adapter.getInstance();
  traceRequests(server);
  acceptJsonOnly(server);
  void server.register(fastifyCookie);
  server.decorateRequest('context');
  server.decorateRequest('input');
  server.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, done) => {
    request.context = contextOf(request);
    void reply.headers({ 'x-request-id': request.context.requestId, 'cache-control': 'no-store' });
    done();
  });
  // Not sooner: reading a body leaves the asynchronous context in which it began.
  server.addHook('preHandler', (request: FastifyRequest, _reply: FastifyReply, done) =>
    runInContext(request.context, done),
  );
  return adapter;
}

/** Everything else answers 415. An empty body is no body, as clients send it that name a content type with every call. */
function acceptJsonOnly(server: FastifyInstance): void {
  const parseJson = server.getDefaultJsonParser('error', 'error');
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else void parseJson(request, body as string, done);
  });
}

/** A socket that takes both families shows IPv4 addresses as IPv6 (`::ffff:192.0.2.1`); a zone is about our host. */
function plainAddress(ip: string): string {
  return ip.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
}

/** A trusted proxy's word is taken, and then the address is another than that of the connection. */
function saysItWasForwarded({ headers }: FastifyRequest): boolean {
  return headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined;
}

function contextOf(request: FastifyRequest): RequestContext {
  return {
    requestId: acceptRequestId(request.headers['x-request-id']),
    ip: plainAddress(request.ip),
    userAgent: request.headers['user-agent']?.slice(0, MAX_USER_AGENT) ?? null,
    method: request.method,
    path: request.url.split('?', 1)[0]!.slice(0, MAX_PATH),
    origin: request.headers.origin?.slice(0, MAX_ORIGIN) ?? null,
    behindUnknownProxy: saysItWasForwarded(request) && request.ip === request.socket.remoteAddress,
    originAllowed: false,
  };
}
