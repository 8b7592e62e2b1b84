import type { verifyApiKey } from '#libs/contract/api-keys.js';
import type { Metadata } from '#libs/contract/api-key-schemas.js';
import type { RouteInput } from '#libs/contract/route.js';
import { describeVerification, type Verification } from '#libs/contract/verification.js';
import type { AuthorityInEach } from '#libs/organizations/authority.js';
import { withoutSecrets } from '#libs/platform/redact.js';
import { recordedMethod, recordedPath } from '#libs/platform/request-path.js';
import { verifiableBy } from './api-key-rights.js';
import { statusOf } from './key-lifecycle.js';
import { presentRateLimits } from './rate-limits.js';
import type { VerificationRequest, VerificationResult } from './verification/verification-request.js';

/** What a call of `verifyApiKey` asks the verifier, and the body of its response. */

export function verificationRequest(
  { key, scopes, project_id: projectId, cost, request }: RouteInput<typeof verifyApiKey>['body'],
  authority: AuthorityInEach<'api-keys:verify'>,
  requestId: string,
): VerificationRequest {
  return {
    credential: key,
    scopes,
    projectId,
    cost,
    endpoint: {
      method: recordedMethod(request.method),
      path: request.path ? recordedPath(request.path) : null,
    },
    from: {
      ip: request.ip ?? null,
      userAgent: recorded(request.user_agent),
      requestId,
      origin: recorded(request.origin),
    },
    onBehalf: { caller: authority.caller, sees: verifiableBy(authority) },
    mayGoUnrecorded: true,
  };
}

/** Redacts what a service reports about its caller's request, for the audit log. */
function recorded(text: string | undefined): string | null {
  return text === undefined ? null : withoutSecrets(text);
}

export function verificationResponse(
  { code, record, retryAfter, detail, limits }: VerificationResult,
  requestId: string,
  now: Date,
): Verification {
  return {
    valid: code === 'valid',
    code,
    detail: detail ?? describeVerification(code),
    api_key: record && {
      id: record.apiKeyId,
      organization_id: record.organizationId,
      project_id: record.projectId,
      name: record.name,
      external_id: record.externalId,
      metadata: JSON.parse(record.metadata) as Metadata,
      environment: record.environment,
      credential: record.credential,
      scopes: [...record.scopes],
      status: statusOf(record, now),
      expires_at: record.expiresAt?.toISOString() ?? null,
    },
    ...(retryAfter && { retry_after: retryAfter }),
    ...(limits && { rate_limits: presentRateLimits(limits) }),
    request_id: requestId,
  };
}
