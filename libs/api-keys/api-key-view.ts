import type { EntityManager } from '@mikro-orm/postgresql';
import type { KeyUsage, UsageService } from '#libs/usage/usage.service.js';
import type { ApiKey, ApiKeySecret } from './api-key.entity.js';

/** A key as the API shows it, with its usage counts. */
export interface ApiKeyView {
  readonly apiKey: ApiKey;
  readonly usage: KeyUsage | undefined;
}

export interface SecretView {
  readonly secret: ApiKeySecret;
  readonly lastUsedAt: Date | null;
}

export interface ApiKeyWithToken extends ApiKeyView {
  readonly token: string;
}

export async function withUsage(
  usageService: UsageService,
  em: EntityManager,
  apiKeys: readonly ApiKey[],
): Promise<ApiKeyView[]> {
  const usage = await usageService.ofApiKeys(
    em,
    apiKeys.map((apiKey) => apiKey.id),
  );
  return apiKeys.map((apiKey) => ({ apiKey, usage: usage.get(apiKey.id) }));
}
