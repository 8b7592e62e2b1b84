import { rememberCaller } from './callers.js';
import { checkRequirement, type Decision, type Rejection, type Requirement, type Verifier } from './verifier.js';

export { callerOf } from './callers.js';

/**
 * Decides about a web-standard `Request`, as Hono, Next, Deno, Bun and edge runtimes have it. Never throws: a request that
 * cannot be verified is refused with 503.
 *
 * @param ip the address of the caller, which a `Request` does not hold
 */
export async function verifyRequest(
  verifier: Verifier,
  request: Request,
  requirement: Requirement,
  ip?: string,
): Promise<Decision> {
  const { pathname: path } = new URL(request.url);
  const header = (name: string) => request.headers.get(name);
  const decision = await verifier.verify({ method: request.method, path, ip, header }, requirement);
  if (decision.valid) rememberCaller(request, decision.caller);
  return decision;
}

function responseOf({ status, headers, body }: Rejection): Response {
  return new Response(body, { status, headers });
}

/**
 * Wraps a handler of web-standard requests, such as a route handler or a proxy of Next: it runs only if Keyledger accepts
 * the key.
 *
 * @param ipOf returns the address of the caller, which a `Request` does not hold
 * @throws TypeError at once if the requirement is not understood
 */
export function withKey<Incoming extends Request, More extends readonly unknown[]>(
  verifier: Verifier,
  requirement: Requirement,
  handler: (request: Incoming, ...more: More) => Response | Promise<Response>,
  ipOf: (request: Incoming) => string | undefined = () => undefined,
) {
  checkRequirement(requirement);
  return async (request: Incoming, ...more: More): Promise<Response> => {
    const decision = await verifyRequest(verifier, request, requirement, ipOf(request));
    if (!decision.valid) return responseOf(decision.rejection);
    const response = await handler(request, ...more);
    // A response from `fetch` has headers that cannot be changed.
    const own = new Response(response.body, response);
    for (const [name, value] of Object.entries(decision.headers)) own.headers.set(name, value);
    return own;
  };
}

/** What this needs of a context of Hono 4. */
interface HonoContext {
  readonly req: { readonly raw: Request };
  header(name: string, value: string): void;
}

/**
 * Middleware for Hono that lets a request pass if Keyledger accepts its key.
 *
 * @param ipOf returns the address of the caller, for example by `getConnInfo` of the runtime's adapter
 * @throws TypeError at once if the requirement is not understood
 */
export function requireKey<Context extends HonoContext>(
  verifier: Verifier,
  requirement: Requirement,
  ipOf: (context: Context) => string | undefined = () => undefined,
) {
  checkRequirement(requirement);
  return async (context: Context, next: () => Promise<void>): Promise<Response | undefined> => {
    const decision = await verifyRequest(verifier, context.req.raw, requirement, ipOf(context));
    if (!decision.valid) return responseOf(decision.rejection);
    for (const [name, value] of Object.entries(decision.headers)) context.header(name, value);
    await next();
    return undefined;
  };
}
