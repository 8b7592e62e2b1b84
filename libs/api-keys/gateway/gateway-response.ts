import type { DomainError } from '#libs/platform/errors.js';
import type { RateLimitStatus } from '#libs/admission/rate-limit-window.js';
import { problemHeaders, problemOf } from '#libs/platform/http/problem.js';
import { rateLimitHeaders } from '../rate-limits.js';
import type { ApiKeyRecord } from '../verification/verification.js';

/** What a gateway is answered: a status that it understands, and headers for the upstream. */
export interface GatewayResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** In the place of nothing: a header that is always sent replaces whatever the client sent under its name. */
const NOTHING = '-';

/** Every header that a gateway hands on. A rejection has all of them, too. */
const nothing = {
  'x-organization-id': NOTHING,
  'x-project-id': NOTHING,
  'x-api-key-id': NOTHING,
  'x-api-key-environment': NOTHING,
  'x-api-key-external-id': NOTHING,
  'x-scopes': NOTHING,
  'x-authz-code': NOTHING,
  'x-authz-status': NOTHING,
};
type GatewayHeaders = typeof nothing;

export const GATEWAY_HEADERS = Object.keys(nothing);

/** Of a key that is good for the request. */
export function acceptance(record: ApiKeyRecord, limits?: readonly RateLimitStatus[]): GatewayResponse {
  return {
    status: 200,
    headers: {
      'x-organization-id': record.organizationId,
      'x-project-id': record.projectId ?? NOTHING,
      'x-api-key-id': record.apiKeyId,
      'x-api-key-environment': record.environment,
      'x-api-key-external-id': record.externalId === null ? NOTHING : encoded(record.externalId),
      'x-scopes': record.scopes.join(' ') || NOTHING,
      'x-authz-code': 'valid',
      'x-authz-status': '200',
      ...rateLimitHeaders(limits),
    } satisfies GatewayHeaders,
  };
}

/** An id of the customer's may hold any character, and may be what stands for nothing. */
function encoded(id: string): string {
  return id === NOTHING ? '%2D' : encodeURIComponent(id);
}

/** `auth_request` of nginx takes any other status for a failure. */
const KNOWN_TO_NGINX = new Set([401, 403]);

export interface Surroundings {
  readonly publicUrl: string;
  readonly requestId: string;
  /**
   * What nginx does not know is 403 then, with its own status in `X-Authz-Status`. It hands no body on, and would close
   * the connection over one.
   */
  readonly forNginx: boolean;
  /** How the limits of the key stand, for the client. */
  readonly limits?: readonly RateLimitStatus[] | undefined;
}

export function rejection(
  error: DomainError,
  { publicUrl, requestId, forNginx, limits }: Surroundings,
): GatewayResponse {
  const problem = problemOf(error, publicUrl, requestId);
  const { code, status } = problem;
  const headers = {
    ...nothing,
    'x-authz-code': code,
    'x-authz-status': String(status),
    ...problemHeaders(error, status),
    ...rateLimitHeaders(limits),
  };
  if (forNginx) return { status: KNOWN_TO_NGINX.has(status) || status >= 500 ? status : 403, headers };
  return { status, headers: { ...headers, 'content-type': 'application/problem+json' }, body: JSON.stringify(problem) };
}
