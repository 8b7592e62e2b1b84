import type { EntityManager } from '@mikro-orm/postgresql';
import type { ApiKeyPrincipal } from './principal.js';

/**
 * Turns an API key into a principal. Declared here and implemented by `api-keys`, which knows keys; the API app binds the
 * two, so that neither imports the other.
 */
export abstract class CredentialVerifier {
  /**
   * Decides, records and charges one use of the key for the request being served.
   * @throws DomainError with the verification's code when the key is not good for it.
   */
  abstract authenticate(token: string, requiredScopes: readonly string[]): Promise<ApiKeyPrincipal>;

  /**
   * The principal as it is now, read within the transaction of a change.
   * @throws DomainError when the key has died since it was admitted.
   */
  abstract reload(em: EntityManager, principal: ApiKeyPrincipal): Promise<ApiKeyPrincipal>;
}
