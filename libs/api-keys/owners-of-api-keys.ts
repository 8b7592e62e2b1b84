import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { ApiKeyOwners } from '#libs/organizations/api-key-owners.js';
import { ApiKey } from './api-key.entity.js';

@Injectable()
export class OwnersOfApiKeys extends ApiKeyOwners {
  /** Its connections are for short reads: the end of a key must not wait for reports. */
  constructor(private readonly em: EntityManager) {
    super();
  }

  async organizationOf(apiKeyId: string): Promise<string | undefined> {
    const found = { id: apiKeyId, deletedAt: null };
    return (await this.em.fork().findOne(ApiKey, found, { fields: ['organizationId'] }))?.organizationId;
  }
}
