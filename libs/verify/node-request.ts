import { rememberCaller } from './callers.js';
import type { Decision, Requirement, Verifier } from './verifier.js';

/** What a decision needs of a request of Express 4 or 5, or of Fastify 4 or 5. */
export interface NodeRequest {
  readonly method: string;
  readonly originalUrl: string;
  readonly ip?: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/**
 * Decides about a request of Express or Fastify, for guards and hooks of your own. Never throws: a request that cannot be
 * verified is refused with 503.
 */
export async function verifyRequest(
  verifier: Verifier,
  request: NodeRequest,
  requirement: Requirement,
): Promise<Decision> {
  const { method, originalUrl: path, ip, headers } = request;
  const header = (name: string) => headers[name]?.toString();
  const decision = await verifier.verify({ method, path, ip, header }, requirement);
  if (decision.valid) rememberCaller(request, decision.caller);
  return decision;
}
