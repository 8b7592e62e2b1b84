import { z } from 'zod';
import type { Problem, ProblemCode } from './problem.js';
import type { BuiltInScope } from './scopes.js';
import { validationMessage } from './validation-messages.js';

// For every schema of the process. A message of a schema itself has precedence.
z.config({ customError: validationMessage });

/**
 * The callers that a route accepts:
 * - `public`: anyone;
 * - `authenticated`: any valid credential;
 * - `key`: a key that the handler verifies, as for a request to the vendor's API;
 * - `user`: a signed-in user, not a key;
 * - `operator`: a signed-in user who is an operator of the deployment;
 * - a {@link Permission}: a caller with a scope in the organization of the call.
 */
export type RoutePolicy = 'public' | 'authenticated' | 'key' | 'user' | 'operator' | Permission;

/** The guard checks it before the handler runs, and hands the handler the resulting authority. */
export interface Permission {
  /** A key must have this scope; a user's role in the organization must include it. */
  readonly scope: BuiltInScope;
  readonly organization: OrganizationSource;
  /**
   * `organization`: the call is about the whole organization, so a key that is limited to a project is rejected.
   * `project`: the service keeps such a key within its project.
   */
  readonly reach: 'organization' | 'project';
  /** Rejects keys, whatever their scopes. */
  readonly usersOnly?: true;
}

/**
 * Where the organization of a call comes from:
 * - `path`: the parameter `id`;
 * - `api_key`, `project`: the object with the `id` in the path or the query;
 * - `body`, `query`: the field `organization_id`, or else the caller's own organization;
 * - `own`: the caller's own organization: the personal one of a user, or the one of the key;
 * - `each`: the field `organization_id` of the query, or else every organization in which the caller has the scope.
 */
export type OrganizationSource = 'path' | 'api_key' | 'project' | 'body' | 'query' | 'own' | 'each';

/** A successful response: a body, nothing, or a stream, which may never end. */
export interface Success {
  readonly status: 200 | 201 | 204;
  readonly body?: z.ZodType;
  /** For a stream: the possible content types. The client returns its `Response` as it is. */
  readonly stream?: readonly string[];
}

/** Rejections of a route whose clients expect another shape than problem details. */
export interface Rejections {
  readonly body: z.ZodType;
  readonly present: (problem: Problem) => unknown;
  /** For codes to which those clients give another status than we do. */
  readonly statuses: Partial<Record<ProblemCode, number>>;
}

/** Defaults of a call that does not name these. */
export interface CallerDefaults {
  readonly organizationId: string | undefined;
  readonly projectId: string | undefined;
  readonly environment: string;
  readonly allowedIps: readonly string[];
}

/**
 * One HTTP operation: the single source of its validation, its entry in the OpenAPI document, its client method and its
 * generated tests.
 */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** With `:name` for parameters. A last `*name` stands for the rest of the path, slashes included. */
  readonly path: `/${string}`;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly policy: RoutePolicy;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly headers?: z.ZodObject;
  readonly body?: z.ZodObject;
  /** What the body may have, if it is more than usual. */
  readonly bodyLimits?: { readonly bytes: number; readonly values: number };
  readonly success: Success;
  /**
   * For routes that create: accepts `Idempotency-Key`. A repeated call gets the first response again, without these
   * fields: they are secrets and shown once. A call that spells out a default equals a call that leaves it out.
   */
  readonly idempotent?: {
    readonly secrets: readonly string[];
    readonly defaults?: (caller: CallerDefaults) => Readonly<Record<string, unknown>>;
  };
  /** Problems beyond those that follow from the RoutePolicy and the input. */
  readonly problems?: readonly ProblemCode[];
  /** Default: problem details (RFC 9457) with the problem's own status. */
  readonly rejections?: Rejections;
}

/**
 * The fields of a body that take secrets. No other text of a body may have one, because others will read it: a service,
 * a gateway, a colleague. In `request`, which describes a caller's request, secrets are removed instead.
 */
export const SECRET_FIELDS: ReadonlySet<string> = new Set([
  'current_password',
  'invitation_token',
  'key',
  'new_password',
  'password',
  'refresh_token',
  'request',
  'text',
  'token',
]);

/** A route with its name in the OpenAPI document: `apiKeys.create`. */
export interface NamedRoute {
  readonly name: string;
  readonly route: Route;
}

/** The path in the notation of OpenAPI. */
export function pathTemplate(path: string): string {
  return path.replace(/[:*](\w+)/g, '{$1}');
}

/** The path with the texts of its parameters, encoded. */
export function fillPath({ path }: Pick<Route, 'path'>, textOf: (parameter: string) => string): string {
  return path.replace(/([:*])(\w+)/g, (_, kind: string, name: string) =>
    (kind === '*' ? textOf(name).split('/') : [textOf(name)]).map(encodeURIComponent).join('/'),
  );
}

export function defineRoute<const R extends Route>(route: R): R {
  return route;
}

/** Whether the route rejects keys. */
export function isForUsers({ policy }: Route): boolean {
  return policy === 'user' || policy === 'operator' || (typeof policy === 'object' && policy.usersOnly === true);
}

type Part<S> = S extends z.ZodType ? S : z.ZodUndefined;

/** The request as the handler gets it: parsed, with defaults. */
export type RouteInput<R extends Route> = {
  params: z.output<Part<R['params']>>;
  query: z.output<Part<R['query']>>;
  headers: z.output<Part<R['headers']>>;
  body: z.output<Part<R['body']>>;
};

export type RouteOutput<R extends Route> = R['success'] extends { body: infer B extends z.ZodType }
  ? z.output<B>
  : undefined;
