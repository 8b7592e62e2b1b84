import { LockMode } from '@mikro-orm/core';
import { Injectable } from '@nestjs/common';
import type { EventActor } from '#libs/contract/events.js';
import { ApiKeyRevocation, type Standing } from '#libs/organizations/api-key-revocation.js';
import { Clock } from '#libs/platform/clock.js';
import type { Change } from '#libs/platform/events/changes.js';
import { touch } from '#libs/platform/versions.js';
import { ApiKey } from './api-key.entity.js';
import { aboutProject } from './api-key.js';

@Injectable()
export class RevocationOfApiKeys extends ApiKeyRevocation {
  constructor(private readonly clock: Clock) {
    super();
  }

  count({ em }: Change, standing: Standing): Promise<number> {
    return em.count(ApiKey, { ...standing, revokedAt: null });
  }

  async revoke(
    { em, record }: Change,
    standing: Standing,
    actor: EventActor,
    because: 'member_removed' | 'project_deleted',
  ): Promise<number> {
    const apiKeys = await em.find(
      ApiKey,
      { ...standing, revokedAt: null },
      { orderBy: { id: 'asc' }, lockMode: LockMode.PESSIMISTIC_WRITE },
    );
    const now = this.clock.now();
    for (const apiKey of apiKeys) {
      apiKey.revokedAt = now;
      touch(apiKey, now);
      record({
        type: 'api_key.revoked',
        subject: apiKey.id,
        actor,
        data: { ...aboutProject(apiKey), deleted: false, because },
      });
    }
    return apiKeys.length;
  }
}
