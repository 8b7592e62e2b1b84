import { rememberCaller } from './callers.js';
import { checkRequirement, type Decision, type Requirement, type Verifier } from './verifier.js';

export { callerOf } from './callers.js';

/** What this needs of a request of Fastify 4 or 5. */
interface FastifyRequest {
  readonly method: string;
  readonly originalUrl: string;
  readonly ip: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** What this needs of a reply of Fastify 4 or 5. */
interface FastifyReply {
  code(status: number): unknown;
  headers(headers: Readonly<Record<string, string>>): unknown;
  send(body: string): unknown;
}

/** Decides about a request of Fastify. Nest's guards use this, and throw an exception of their own. */
export async function verifyRequest(
  verifier: Verifier,
  request: FastifyRequest,
  requirement: Requirement,
): Promise<Decision> {
  const { method, originalUrl: path, ip, headers } = request;
  const decision = await verifier.verify(
    { method, path, ip, header: (name) => headers[name]?.toString() },
    requirement,
  );
  if (decision.valid) rememberCaller(request, decision.caller);
  return decision;
}

/**
 * An `onRequest` hook for Fastify that lets a request pass if Keyledger accepts its key. The address of the caller is
 * `request.ip`: behind a proxy, set `trustProxy`.
 */
export function requireKey(verifier: Verifier, requirement: Requirement) {
  checkRequirement(requirement);
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const decision = await verifyRequest(verifier, request, requirement);
    if (decision.valid) {
      reply.headers(decision.headers);
      return undefined;
    }
    const { status, headers, body } = decision.rejection;
    reply.code(status);
    reply.headers(headers);
    return reply.send(body);
  };
}
