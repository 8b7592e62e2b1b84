import type { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { ApiKeyUsage } from './api-key-usage.entity.js';

/** The API's side: reads what was counted. */
@Injectable()
export class UsageService {
  /** By key id; a key that was never used has no entry. */
  async ofApiKeys(em: EntityManager, apiKeyIds: readonly string[]): Promise<ReadonlyMap<string, ApiKeyUsage>> {
    const found = await em.find(ApiKeyUsage, { apiKeyId: { $in: [...apiKeyIds] } });
    return new Map(found.map((usage) => [usage.apiKeyId, usage]));
  }
}
