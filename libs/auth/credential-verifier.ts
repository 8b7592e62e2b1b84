import type { EntityManager } from '@mikro-orm/postgresql';
import type { RequestContext } from '#libs/platform/request-context.js';
import type { ApiKeyPrincipal } from './principal.js';

/**
 * Turns an API key into a principal. Declared here and implemented by `api-keys`, which knows keys. The API app binds
 * the two, so that neither imports the other.
 */
export abstract class CredentialVerifier {
  /**
   * Decides, records and charges one use of the key for the current request.
   * @throws DomainError with the code of the verification if it rejects the key
   */
  abstract authenticate(
    token: string,
    requiredScopes: readonly string[],
    context: RequestContext,
  ): Promise<ApiKeyPrincipal>;

  /**
   * Records a call that is refused after {@link authenticate} and before its handler runs, if the handler would have
   * recorded it. So a stolen key cannot be tried without a record.
   * @throws DomainError if the key may no longer make the call, or the call could not be recorded
   */
  abstract recordRefused(principal: ApiKeyPrincipal, requiredScopes: readonly string[]): Promise<void>;

  /**
   * Reads the current principal within the transaction of a change.
   * @throws DomainError if the key is no longer valid
   */
  abstract reload(em: EntityManager, principal: ApiKeyPrincipal): Promise<ApiKeyPrincipal>;
}
