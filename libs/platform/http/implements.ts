import {
  applyDecorators,
  createParamDecorator,
  HttpCode,
  RequestMapping,
  RequestMethod,
  SetMetadata,
} from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';
import type { Route } from '#libs/contract/route.js';
import type { RequestContext } from '../request-context.js';

/** Properties that our hooks add to a request. */
declare module 'fastify' {
  interface FastifyRequest {
    context: RequestContext;
    input: unknown;
    /** The bytes of the body, for a route with a signed one. */
    signedBody?: Buffer;
  }
  interface FastifyContextConfig {
    /** The route; also known when an error occurs before the handler. */
    implements?: Route;
    /** Set for a page whose query the browser reads. Every other route without `implements` rejects a query. */
    hasPageQuery?: true;
  }
}

export const ROUTE = 'keyledger:route';

/**
 * Binds a controller method to a route of the contract, which gives its method, path, status, RoutePolicy and
 * validation. The guard rejects a handler without it, and the architecture test fails.
 */
export function Implements(route: Route): MethodDecorator {
  return applyDecorators(
    SetMetadata(ROUTE, route),
    RouteConfig({ implements: route }),
    // Fastify names the rest of a path `*`.
    RequestMapping({ path: route.path.replace(/\*\w+$/, '*'), method: RequestMethod[route.method] }),
    HttpCode(route.success.status),
  );
}

/** The validated request: `RouteInput<typeof route>` of the route that the method implements. */
export const Input = createParamDecorator(
  (_: unknown, context) => context.switchToHttp().getRequest<FastifyRequest>().input,
);
