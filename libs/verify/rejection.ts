import { problems, type ProblemCode } from '#libs/contract/problem.js';
import { rateLimitHeaders, type RateLimitStatus } from '#libs/contract/rate-limits.js';

/** A response for a caller whose request must not pass: problem details (RFC 9457). */
export interface Rejection {
  /** For programs: a problem code of Keyledger, or `verification_unavailable`. */
  readonly code: string;
  /** Of HTTP. */
  readonly status: number;
  /** For people. */
  readonly detail: string;
  /** `WWW-Authenticate`, `Retry-After` (in seconds), `RateLimit` and others, by their names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** JSON. */
  readonly body: string;
}

interface RejectionDetails {
  /** The text for people. Default: the title of the problem. */
  readonly detail?: string;
  readonly scopes?: readonly string[];
  /** In seconds. */
  readonly retryAfter?: number | undefined;
  readonly rateLimits?: readonly RateLimitStatus[] | undefined;
}

/** The status of each code comes from Keyledger's contract, and the challenge from RFC 6750. */
export function rejectionOf(
  code: ProblemCode,
  realm: string,
  { detail, scopes = [], retryAfter, rateLimits }: RejectionDetails = {},
): Rejection {
  const { status, title } = problems[code];
  return rejection(code, status, title, detail ?? title, {
    ...rateLimitHeaders(rateLimits),
    ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
    ...challengeOf(code, status, realm, scopes),
  });
}

/** The key can be neither accepted nor rejected: Keyledger has not said what it is. */
export function unavailable(retryAfter: string): Rejection {
  const detail = 'Your API key cannot be verified at the moment; try again';
  const headers = { 'retry-after': retryAfter };
  return rejection('verification_unavailable', 503, 'The verification of API keys is unavailable', detail, headers);
}

function challengeOf(
  code: ProblemCode,
  status: number,
  realm: string,
  scopes: readonly string[],
): Record<string, string> {
  const bearer = `Bearer realm="${realm}"`;
  if (code === 'unauthenticated') return { 'www-authenticate': bearer };
  if (code === 'insufficient_scope') {
    return { 'www-authenticate': `${bearer}, error="insufficient_scope", scope="${scopes.join(' ')}"` };
  }
  if (status !== 401) return {};
  return { 'www-authenticate': `${bearer}, error="invalid_token"` };
}

function rejection(
  code: string,
  status: number,
  title: string,
  detail: string,
  headers: Record<string, string>,
): Rejection {
  return {
    code,
    status,
    detail,
    headers: { ...headers, 'content-type': 'application/problem+json', 'cache-control': 'no-store' },
    body: JSON.stringify({ type: 'about:blank', title, status, detail, code }),
  };
}
