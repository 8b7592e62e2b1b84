import type { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { CredentialVerifier } from '#libs/auth/credential-verifier.js';
import type { ApiKeyPrincipal } from '#libs/auth/principal.js';
import { missingScopes } from '#libs/contract/scopes.js';
import { Clock } from '#libs/platform/clock.js';
import { DomainError } from '#libs/platform/errors.js';
import { requestContext } from '#libs/platform/request-context.js';
import { ApiKey } from '../api-key.entity.js';
import { statusOf } from '../api-key.js';
import { ApiKeyVerifier } from './api-key-verifier.js';

/** API keys as credentials of our own API. A call with one is a use of cost 0. */
@Injectable()
export class ApiKeyCredentials extends CredentialVerifier {
  constructor(
    private readonly clock: Clock,
    private readonly verifier: ApiKeyVerifier,
  ) {
    super();
  }

  async authenticate(token: string, requiredScopes: readonly string[]): Promise<ApiKeyPrincipal> {
    const { method, path, ip, userAgent, requestId } = requestContext();
    const { code, record } = await this.verifier.verify({
      token,
      scopes: requiredScopes,
      cost: 0,
      endpoint: { method, path },
      origin: { ip, userAgent, requestId },
    });
    if (code === 'valid' && record) return principalOf({ ...record, id: record.apiKeyId });
    if (code === 'insufficient_scope' && record) {
      const [scope] = missingScopes(record.scopes, requiredScopes);
      throw new DomainError(code, `The key lacks the scope ${scope}`, scope ? { scope } : {});
    }
    throw new DomainError(code === 'valid' ? 'invalid_key' : code);
  }

  async reload(em: EntityManager, principal: ApiKeyPrincipal): Promise<ApiKeyPrincipal> {
    const key = await em.findOne(ApiKey, principal.apiKeyId);
    const status = key ? statusOf(key, this.clock.now()) : 'revoked';
    if (status !== 'active' || !key) throw new DomainError(status === 'active' ? 'revoked' : status);
    return principalOf(key);
  }
}

interface PrincipalFields extends Omit<ApiKeyPrincipal, 'type' | 'apiKeyId' | 'expiresAt'> {
  readonly id: string;
  readonly expiresAt?: Date | null;
}

function principalOf(key: PrincipalFields): ApiKeyPrincipal {
  return {
    type: 'api_key',
    apiKeyId: key.id,
    organizationId: key.organizationId,
    name: key.name,
    environment: key.environment,
    scopes: key.scopes,
    expiresAt: key.expiresAt ?? null,
  };
}
