import { verifyRequest, type NodeRequest } from './node-request.js';
import { checkRequirement, type Requirement, type Verifier } from './verifier.js';

export { callerOf } from './callers.js';
export { verifyRequest };

/** What this needs of a response of Express 4 or 5. */
interface ExpressResponse {
  status(status: number): unknown;
  set(headers: Readonly<Record<string, string>>): unknown;
  end(body: string): unknown;
}

/**
 * Middleware for Express that lets a request pass if Keyledger accepts its key. The address of the caller is `req.ip`:
 * behind a proxy, set `trust proxy`.
 *
 * @throws TypeError at once if the requirement is not understood
 */
export function requireKey(verifier: Verifier, requirement: Requirement) {
  checkRequirement(requirement);
  return async (request: NodeRequest, response: ExpressResponse, next: (error?: unknown) => void): Promise<void> => {
    const decision = await verifyRequest(verifier, request, requirement);
    if (decision.valid) {
      response.set(decision.headers);
      return next();
    }
    const { status, headers, body } = decision.rejection;
    response.status(status);
    response.set(headers);
    response.end(body);
  };
}
