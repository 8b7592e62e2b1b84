import type { z } from 'zod';
import type { Problem, ProblemCode } from './problem.js';
import type { BuiltInScope } from './scopes.js';

/**
 * Who may call a route:
 * - `public`: anyone;
 * - `authenticated`: any good credential;
 * - `user`: a signed-in user, not a key;
 * - `operator`: a signed-in user who is of the deployment's own staff;
 * - a scope: a key that has it. A user passes here, and the service asks for the same scope of the user's role in the
 *   organization that the call is about.
 */
export type RoutePolicy = 'public' | 'authenticated' | 'user' | 'operator' | { scope: BuiltInScope };

/** What a good response is: a body, nothing, or a stream, which has no end that one could wait for. */
export interface Success {
  readonly status: 200 | 201 | 204;
  readonly body?: z.ZodType;
  /** The content types that the response may have, where it is a stream. The client hands its `Response` over. */
  readonly stream?: readonly string[];
}

/** How the rejections of a route read to clients that know another shape than problem details. */
export interface Rejections {
  readonly body: z.ZodType;
  readonly present: (problem: Problem) => unknown;
  /** For the codes that those clients know under another status than ours. */
  readonly statuses: Partial<Record<ProblemCode, number>>;
}

/** What a call is about when it does not say. */
export interface CallerDefaults {
  readonly organizationId: string | undefined;
  readonly projectId: string | undefined;
  readonly environment: string;
}

/**
 * One HTTP operation: the single source of its validation, its place in the OpenAPI document, its method of the client
 * and the tests that are generated for it.
 */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** With `:name` for parameters. */
  readonly path: `/${string}`;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly policy: RoutePolicy;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly headers?: z.ZodObject;
  readonly body?: z.ZodObject;
  readonly success: Success;
  /**
   * For what creates: takes `Idempotency-Key`, and a call that is repeated gets the first response again, without these
   * fields of it, which are secrets and shown once. To say a default is the same call as to leave it out.
   */
  readonly idempotent?: {
    readonly secrets: readonly string[];
    readonly defaults?: (caller: CallerDefaults) => Readonly<Record<string, unknown>>;
  };
  /** What it may respond with beyond that which follows from its policy and its input. */
  readonly problems?: readonly ProblemCode[];
  /** By default a problem is answered as problem details (RFC 9457), with its own status. */
  readonly rejections?: Rejections;
}

/** With the name that the OpenAPI document has for it: `apiKeys.create`. */
export interface NamedRoute {
  readonly name: string;
  readonly route: Route;
}

export function defineRoute<const R extends Route>(route: R): R {
  return route;
}

type Part<S> = S extends z.ZodType ? S : z.ZodUndefined;

/** The request as the handler gets it: parsed, defaults filled in. */
export type RouteInput<R extends Route> = {
  params: z.output<Part<R['params']>>;
  query: z.output<Part<R['query']>>;
  headers: z.output<Part<R['headers']>>;
  body: z.output<Part<R['body']>>;
};

export type RouteOutput<R extends Route> = R['success'] extends { body: infer B extends z.ZodType }
  ? z.output<B>
  : undefined;
