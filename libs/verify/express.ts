import { rememberCaller } from './callers.js';
import { checkRequirement, type Requirement, type Verifier } from './verifier.js';

export { callerOf } from './callers.js';

/** What this needs of a request of Express 4 or 5. */
interface ExpressRequest {
  readonly method: string;
  readonly originalUrl: string;
  readonly ip?: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** What this needs of a response of Express 4 or 5. */
interface ExpressResponse {
  status(status: number): unknown;
  set(headers: Readonly<Record<string, string>>): unknown;
  end(body: string): unknown;
}

/**
 * Middleware for Express that lets a request pass if Keyledger accepts its key. The address of the caller is `req.ip`:
 * behind a proxy, set `trust proxy`.
 */
export function requireKey(verifier: Verifier, requirement: Requirement) {
  checkRequirement(requirement);
  return async (request: ExpressRequest, response: ExpressResponse, next: (error?: unknown) => void): Promise<void> => {
    const { method, originalUrl: path, ip, headers: sent } = request;
    const decision = await verifier.verify({ method, path, ip, header: (name) => sent[name]?.toString() }, requirement);
    if (decision.valid) {
      rememberCaller(request, decision.caller);
      response.set(decision.headers);
      return next();
    }
    const { status, headers, body } = decision.rejection;
    response.status(status);
    response.set(headers);
    response.end(body);
  };
}
