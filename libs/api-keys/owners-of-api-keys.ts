import { EntityManager, raw } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { displayedCharactersOf } from '#libs/api-key-format/search-term.js';
import { isId } from '#libs/contract/ids.js';
import { ApiKeyOwners, type ApiKeyOwner, type FoundApiKey } from '#libs/organizations/api-key-owners.js';
import { Clock } from '#libs/platform/clock.js';
import { ApiKey, ApiKeySecret } from './api-key.entity.js';
import { stateOf } from './key-lifecycle.js';

/** Few secrets share the characters that lists show. */
const MOST_FOUND = 20;

@Injectable()
export class OwnersOfApiKeys extends ApiKeyOwners {
  /** Its connections are for short reads: the end of a key must not wait for reports. */
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
  ) {
    super();
  }

  async ownerOf(apiKeyId: string): Promise<ApiKeyOwner | undefined> {
    const wanted = { id: apiKeyId, deletedAt: null };
    const found = await this.em
      .fork()
      .findOne(ApiKey, wanted, { fields: ['organizationId', 'projectId', 'accountableUserId'] });
    return found ? ownerIn(found) : undefined;
  }

  async find(term: string): Promise<FoundApiKey[]> {
    const em = this.em.fork();
    const secrets = await this.#secrets(em, term);
    const wanted = [
      { publicKey: term },
      { id: { $in: secrets.map(({ apiKeyId }) => apiKeyId) } },
      ...(isId('key', term) ? [{ id: term }] : []),
    ];
    const found = await em.find(ApiKey, { $or: wanted }, { orderBy: { id: 'asc' }, limit: MOST_FOUND });
    return found.map((apiKey) => {
      const secret = secrets.find(({ apiKeyId }) => apiKeyId === apiKey.id);
      return {
        ...ownerIn(apiKey),
        id: apiKey.id,
        name: apiKey.name,
        status: stateOf(apiKey, this.clock.now()),
        secret: secret ? { id: secret.id, endedAt: secret.endedAt ?? null } : null,
      };
    });
  }

  async #secrets(em: EntityManager, term: string): Promise<ApiKeySecret[]> {
    if (isId('secret', term)) return em.find(ApiKeySecret, { id: term });
    const shown = displayedCharactersOf(term);
    if (!shown) return [];
    return em.find(ApiKeySecret, { [raw('left(handle, 6)')]: shown }, { limit: MOST_FOUND });
  }
}

function ownerIn({ organizationId, projectId, accountableUserId }: ApiKeyOwnerFields): ApiKeyOwner {
  return { organizationId, projectId: projectId ?? null, accountableUserId };
}

type ApiKeyOwnerFields = Pick<ApiKey, 'organizationId' | 'projectId' | 'accountableUserId'>;
