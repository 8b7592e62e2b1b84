/** Which organization owns an API key. Declared here and implemented by `api-keys`. The API app binds the two. */
export abstract class ApiKeyOwners {
  /** @returns undefined for a key that does not exist or was deleted */
  abstract organizationOf(apiKeyId: string): Promise<string | undefined>;
}
