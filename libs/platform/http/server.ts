import type { IncomingMessage, RequestListener } from 'node:http';
import fastifyCookie from '@fastify/cookie';
import { Logger } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { pathTemplate } from '#libs/contract/route.js';
import { Config } from '../config.js';
import type { DirectServer } from './direct-server.js';
import { wasForwarded, type Proxies } from './proxies.js';
import { acceptRequestId, MAX_ORIGIN, MAX_USER_AGENT, type RequestContext } from '../request-context.js';
import { withoutSecrets } from '../redact.js';
import { recordedPath } from '../request-path.js';
import { headerText, withoutHalf } from '../text.js';
import { traceRequests } from '../tracing.js';
import { isJsonType, OTHER_TYPE, parseBody } from './body.js';
import { HTTP_LIMITS, type HttpLimits } from './http-limits.js';
import { createHttpServer } from './http-server.js';
import { queryFault } from './input.js';
import { respondWithProblem } from './problem.filter.js';
import { refuseRepeatedHeaders } from './repeated-headers.js';
import { refuseByRouter } from './refuse-unrouted.js';

export const BODY_LIMIT = 64 * 1024;

/** Fastify with our limits, request ids and the request context. */
export function createHttpAdapter(
  config: Config,
  direct: DirectServer,
  proxies: Proxies,
  limits: HttpLimits = HTTP_LIMITS,
): FastifyAdapter {
  const adapter = new Adapter({
    bodyLimit: BODY_LIMIT,
    // Otherwise a client could keep its idle connection open while the server stops.
    forceCloseConnections: 'idle',
    frameworkErrors: refuseByRouter(config.publicUrl),
    // The server handles client errors itself. Without a function here, Fastify would also write a response.
    clientErrorHandler: () => undefined,
    serverFactory: (serve: RequestListener) =>
      createHttpServer(config.publicUrl, (request, response) => direct.serve(request, response, serve), limits),
  });
  const server = adapter.getInstance<FastifyInstance>();
  traceRequests(server);
  finishOnClose(server, direct, limits);
  acceptJsonOnly(server);
  void server.register(fastifyCookie);
  server.decorateRequest('context');
  server.decorateRequest('input');
  server.addHook('onRoute', (route) => {
    const { bodyLimits } = route.config?.implements ?? {};
    if (bodyLimits) route.bodyLimit = bodyLimits.bytes;
  });
  server.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, done) => {
    request.context = contextOf(request.raw, routeOf(request), proxies);
    void reply.headers({ 'x-request-id': request.context.requestId, 'cache-control': 'no-store' });
    refuseRepeatedHeaders(request.raw.rawHeaders);
    done(readsQuery(request) ? undefined : queryFault(request.query));
  });
  const logger = new Logger('Http');
  server.setErrorHandler((error, request, reply) =>
    respondWithProblem(error, request, reply, config.publicUrl, logger),
  );
  return adapter;
}

/** Keeps the error handler set above: Nest's comes too late for the routes of libraries, such as `/docs`. */
class Adapter extends FastifyAdapter {
  override setErrorHandler() {
    return this.getInstance<FastifyInstance>();
  }
}

function finishOnClose(server: FastifyInstance, direct: DirectServer, { closeGrace }: HttpLimits): void {
  server.addHook('preClose', (done) => {
    direct.close();
    // Once the server closes, Node no longer checks for slow requests and would wait for them forever.
    setTimeout(() => server.server.closeAllConnections(), closeGrace).unref();
    done();
  });
}

/** Reads all bodies in one place, whatever their content type: Fastify's own parsers accept more than JSON in UTF-8. */
function acceptJsonOnly(server: FastifyInstance): void {
  withoutQueryBodies(server);
  server.removeAllContentTypeParsers();
  server.addHook('onRequest', ({ headers }, _reply, done) => {
    // Fastify would reject an unknown type before it knows whether there is a body.
    if (headers['content-type'] !== undefined && !isJsonType(headers['content-type']))
      headers['content-type'] = OTHER_TYPE;
    done();
  });
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      const { bodyLimits } = request.routeOptions.config.implements ?? {};
      done(null, request.is404 ? undefined : parseBody(body as Buffer, request.headers, bodyLimits?.values));
    } catch (error) {
      done(error as Error);
    }
  });
}

/** Fastify would reject a `QUERY` without a content type, in its own words, before it looks for a route. */
function withoutQueryBodies(server: FastifyInstance): void {
  server.addHttpMethod('QUERY', { hasBody: false, overrideExisting: true });
}

export function textOf(header: string | undefined, max: number): string | null {
  return header === undefined ? null : withoutHalf(withoutSecrets(headerText(header), max));
}

/** Whether the query needs no check here: routes of the contract validate it, and an unknown path is not found. */
function readsQuery({ is404, routeOptions: { config } }: FastifyRequest): boolean {
  return is404 || config.implements !== undefined || config.hasPageQuery === true;
}

function routeOf({ routeOptions: { config, url } }: FastifyRequest): string | null {
  const path = config.implements?.path ?? url;
  return path === undefined ? null : pathTemplate(path);
}

/** @param route the path of the route, as in the contract */
export function contextOf(request: IncomingMessage, route: string | null, proxies: Proxies): RequestContext {
  const peer = request.socket.remoteAddress;
  const behindUnknownProxy = wasForwarded(request.headers) && !proxies.has(peer);
  if (behindUnknownProxy) proxies.noteUnknown('api', peer);
  return {
    requestId: acceptRequestId(request.headers['x-request-id']),
    ip: proxies.clientOf(request),
    userAgent: textOf(request.headers['user-agent'], MAX_USER_AGENT),
    method: request.method!,
    path: recordedPath(request.url!),
    route,
    origin: textOf(request.headers.origin, MAX_ORIGIN),
    behindUnknownProxy,
    originAllowed: false,
  };
}
