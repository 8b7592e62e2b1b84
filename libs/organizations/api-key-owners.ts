/** What decides who may read and manage a key. */
export interface ApiKeyOwner {
  readonly organizationId: string;
  /** The project to which the key is limited. */
  readonly projectId: string | null;
  readonly accountableUserId: string;
}

/** Whose an API key is. Declared here and implemented by `api-keys`. The API app binds the two. */
export abstract class ApiKeyOwners {
  /** @returns undefined for a key that does not exist or was deleted */
  abstract ownerOf(apiKeyId: string): Promise<ApiKeyOwner | undefined>;
}
