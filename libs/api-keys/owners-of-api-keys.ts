import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { ApiKeyOwners, type ApiKeyOwner } from '#libs/organizations/api-key-owners.js';
import { ApiKey } from './api-key.entity.js';

@Injectable()
export class OwnersOfApiKeys extends ApiKeyOwners {
  /** Its connections are for short reads: the end of a key must not wait for reports. */
  constructor(private readonly em: EntityManager) {
    super();
  }

  async ownerOf(apiKeyId: string): Promise<ApiKeyOwner | undefined> {
    const wanted = { id: apiKeyId, deletedAt: null };
    const found = await this.em
      .fork()
      .findOne(ApiKey, wanted, { fields: ['organizationId', 'projectId', 'accountableUserId'] });
    if (!found) return undefined;
    const { organizationId, projectId, accountableUserId } = found;
    return { organizationId, projectId: projectId ?? null, accountableUserId };
  }
}
