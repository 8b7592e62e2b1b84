import type { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { CredentialVerifier } from '#libs/auth/credential-verifier.js';
import type { ApiKeyPrincipal } from '#libs/auth/principal.js';
import type { Basis } from '#libs/admission/conditional-event.js';
import { missingScopes } from '#libs/contract/scopes.js';
import { allowsOrigin } from '#libs/contract/domains.js';
import { Organization } from '#libs/organizations/organization.entity.js';
import { Clock } from '#libs/platform/clock.js';
import { DomainError } from '#libs/platform/errors.js';
import { endpointOf, sourceOf, type RequestContext } from '#libs/platform/request-context.js';
import { ApiKey, ApiKeySecret } from '../api-key.entity.js';
import { ApiKeyVerifier } from './api-key-verifier.js';
import { counted } from './verification-metrics.js';
import type { VerificationRequest } from './verification-request.js';
import { decide, withinCeiling, type ApiKeyRecord } from './verification.js';

const BEHIND_UNKNOWN_PROXY =
  'The request came through a proxy that TRUST_PROXY does not name, so the address of its client is unknown, and the ' +
  'key is limited to certain addresses';

/**
 * The scope that only the verification endpoint requires. A call with it may go unrecorded in an outage (every other
 * call needs the database anyway), and the event of the verification records the call.
 */
const VERIFY_SCOPE = 'api-keys:verify';

/** API keys as credentials of Keyledger's own API. A call is a use of cost 0 on the surface `management`. */
@Injectable()
export class ApiKeyCredentials extends CredentialVerifier {
  constructor(
    private readonly clock: Clock,
    private readonly verifier: ApiKeyVerifier,
  ) {
    super();
  }

  async authenticate(
    token: string,
    requiredScopes: readonly string[],
    context: RequestContext,
  ): Promise<ApiKeyPrincipal> {
    const verification = this.verifier.verify(callOf(token, requiredScopes, context));
    const { code, record, admittedUnder, retryAfter } = await counted('api', verification);
    if (record) noteAllowedOrigin(record, context);
    if (code === 'valid' && record && admittedUnder) return principalOf(record, admittedUnder, context);
    if (code === 'insufficient_scope' && record) {
      const [scope] = missingScopes(record.scopes, requiredScopes);
      throw new DomainError(code, `The key lacks the scope ${scope}`, scope ? { scope } : {});
    }
    if (code === 'ip_not_allowed' && context.behindUnknownProxy) throw new DomainError(code, BEHIND_UNKNOWN_PROXY);
    throw new DomainError(code === 'valid' ? 'invalid_key' : code, undefined, { ...(retryAfter && { retryAfter }) });
  }

  /**
   * The same for a key that asks for a verification, without a promise. Does not count the decision.
   * @returns undefined unless the key is in the cache and may make the call
   */
  authenticateAtOnce(token: string, context: RequestContext): ApiKeyPrincipal | undefined {
    const accepted = this.verifier.decideAtOnce(callOf(token, [VERIFY_SCOPE], context));
    if (!accepted) return undefined;
    noteAllowedOrigin(accepted.record, context);
    return principalOf(accepted.record, accepted.admittedUnder, context);
  }

  async recordRefused(principal: ApiKeyPrincipal, requiredScopes: readonly string[]): Promise<void> {
    if (requiredScopes.includes(VERIFY_SCOPE)) await this.verifier.recordCall(principal);
  }

  async reload(em: EntityManager, principal: ApiKeyPrincipal): Promise<ApiKeyPrincipal> {
    const record = await recordOf(em, principal);
    const code = decide(record, { scopes: [], ...sourceOf(principal.context) }, this.clock.now());
    if (code !== 'valid') throw new DomainError(code);
    return principalOf(record, principal.admittedUnder, principal.context);
  }
}

/** Reads the key within the transaction of the change. The rows exist, because keys and secrets are never removed. */
async function recordOf(em: EntityManager, { apiKeyId, secretId }: ApiKeyPrincipal): Promise<ApiKeyRecord> {
  // A public key alone has no scope that allows a change.
  if (secretId === null) throw new DomainError('insufficient_scope');
  const key = await em.findOneOrFail(ApiKey, apiKeyId);
  const secret = await em.findOneOrFail(ApiKeySecret, secretId);
  const organization = await em.findOneOrFail(Organization, key.organizationId);
  return {
    apiKeyId,
    organizationId: key.organizationId,
    organizationSuspendedAt: organization.suspendedAt ?? null,
    projectId: key.projectId ?? null,
    credential: 'secret',
    publicKey: key.publicKey,
    name: key.name,
    externalId: key.externalId ?? null,
    metadata: JSON.stringify(key.metadata),
    environment: key.environment,
    scopes: withinCeiling(key.scopes, organization.scopeCeiling),
    allowedDomains: key.allowedDomains,
    allowedIps: key.allowedIps,
    rateLimits: key.rateLimits,
    accountableUserId: key.accountableUserId,
    ownKeysOnly: key.ownKeysOnly,
    expiresAt: key.expiresAt ?? null,
    disabledAt: key.disabledAt ?? null,
    revokedAt: key.revokedAt ?? null,
    secretId,
    secretEndedAt: secret.endedAt ?? null,
  };
}

/** The question whether a key may make a call. */
function callOf(token: string, scopes: readonly string[], context: RequestContext): VerificationRequest {
  const { ip, userAgent, requestId, origin, behindUnknownProxy } = context;
  const isVerification = scopes.includes(VERIFY_SCOPE);
  return {
    surface: 'management',
    credential: token,
    scopes,
    cost: 0,
    endpoint: endpointOf(context),
    from: { ip, userAgent, requestId, origin, addressUnknown: behindUnknownProxy },
    isRecordedLater: isVerification,
    mayGoUnrecorded: isVerification,
  };
}

function noteAllowedOrigin({ allowedDomains }: ApiKeyRecord, context: RequestContext): void {
  context.originAllowed = context.origin !== null && allowsOrigin(allowedDomains, context.origin);
}

function principalOf(record: ApiKeyRecord, admittedUnder: Basis, context: RequestContext): ApiKeyPrincipal {
  const { apiKeyId, secretId, organizationId, projectId, name, environment, scopes, expiresAt } = record;
  const { allowedIps, rateLimits, accountableUserId, ownKeysOnly } = record;
  return {
    type: 'api_key',
    apiKeyId,
    secretId,
    organizationId,
    projectId,
    name,
    environment,
    scopes,
    expiresAt,
    allowedIps,
    rateLimits,
    accountableUserId,
    ownKeysOnly,
    admittedUnder,
    context,
  };
}
