import type { DomainError } from '#libs/platform/errors.js';
import type { RateLimitStatus } from '#libs/admission/rate-limit-window.js';
import { problemHeaders, problemOf } from '#libs/platform/http/problem.js';
import { rateLimitHeaders } from '#libs/contract/rate-limits.js';
import { presentRateLimits } from '../rate-limits.js';
import type { ApiKeyRecord } from '../verification/verification.js';

/** The response to a gateway: a status that it understands, and headers for the upstream. */
export interface GatewayResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Stands for a missing value. A header is always sent, so that it replaces a header of that name from the client. */
const NOTHING = '-';

/** Every header that a gateway forwards. A rejection also has all of them. */
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

/** The response for a key that is good for the request. */
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
      ...rateLimitHeaders(limits && presentRateLimits(limits)),
    } satisfies GatewayHeaders,
  };
}

/** An external id may contain any character, and may be equal to {@link NOTHING}. */
function encoded(id: string): string {
  return id === NOTHING ? '%2D' : encodeURIComponent(id);
}

/** The statuses by which nginx's `auth_request` rejects a request. It treats any other status as a failure. */
const KNOWN_TO_NGINX = new Set([401, 403]);

export interface Surroundings {
  readonly publicUrl: string;
  readonly requestId: string;
  /**
   * Replaces a status that nginx does not understand with 403; `X-Authz-Status` has the original one. There is no body:
   * nginx would not forward it, and would close the connection because of it.
   */
  readonly forNginx: boolean;
  /** The status of the key's rate limits, for the client. */
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
    ...rateLimitHeaders(limits && presentRateLimits(limits)),
  };
  if (forNginx) return { status: KNOWN_TO_NGINX.has(status) || status >= 500 ? status : 403, headers };
  return {
    status,
    headers: { ...headers, 'content-type': 'application/problem+json; charset=utf-8' },
    body: JSON.stringify(problem),
  };
}
