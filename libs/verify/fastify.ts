import { verifyRequest, type NodeRequest } from './node-request.js';
import { checkRequirement, type Requirement, type Verifier } from './verifier.js';

export { callerOf } from './callers.js';
export { verifyRequest };

/** What this needs of a reply of Fastify 4 or 5. */
interface FastifyReply {
  code(status: number): unknown;
  headers(headers: Readonly<Record<string, string>>): unknown;
  send(body: string): unknown;
}

/**
 * An `onRequest` hook for Fastify that lets a request pass if Keyledger accepts its key. The address of the caller is
 * `request.ip`: behind a proxy, set `trustProxy`.
 *
 * @throws TypeError at once if the requirement is not understood
 */
export function requireKey(verifier: Verifier, requirement: Requirement) {
  checkRequirement(requirement);
  return async (request: NodeRequest, reply: FastifyReply): Promise<unknown> => {
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
