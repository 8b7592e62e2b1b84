/** What decides who may read and manage a key. */
export interface ApiKeyOwner {
  readonly organizationId: string;
  /** The project to which the key is limited. */
  readonly projectId: string | null;
  readonly accountableUserId: string;
}

/** A key that was found by its id, its public key, or one of its secrets. */
export interface FoundApiKey extends ApiKeyOwner {
  readonly id: string;
  readonly name: string;
  readonly status: 'active' | 'disabled' | 'expired' | 'revoked' | 'deleted';
  /** The secret by which it was found. */
  readonly secret: { readonly id: string; readonly endedAt: Date | null } | null;
}

/** Whose an API key is. Declared here and implemented by `api-keys`. The API app binds the two. */
export abstract class ApiKeyOwners {
  /** @returns undefined for a key that does not exist or was deleted */
  abstract ownerOf(apiKeyId: string): Promise<ApiKeyOwner | undefined>;

  /**
   * The keys with this id, public key or secret, in all organizations, deleted ones included: the caller leaves out what
   * its own caller may not see.
   * @param term as `searchTermOf` returns it
   */
  abstract find(term: string): Promise<FoundApiKey[]>;
}
