import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import type { Authority, AuthorityInEach } from '#libs/organizations/authority.js';
import { noSuchApiKey } from '#libs/organizations/missing.js';
import { includesKey } from '#libs/organizations/rights.js';
import { Clock } from '#libs/platform/clock.js';
import { DomainError } from '#libs/platform/errors.js';
import { UsageService } from '#libs/usage/usage.service.js';
import type { KeysWithin } from './api-key-filter.js';
import { searchWithin } from './api-key-rights.js';
import { searchApiKeys, type ApiKeySearch } from './api-key-search.js';
import { withUsage, type ApiKeyView, type SecretView } from './api-key-view.js';
import { ApiKey, ApiKeySecret } from './api-key.entity.js';
import { isFinal, stateOf } from './key-lifecycle.js';
import { KeySearches } from './key-searches.js';

/** The filters of a list. The authority of the caller determines which organizations and projects it covers. */
export type ApiKeyQuery = Omit<ApiKeySearch, keyof KeysWithin>;

/** Who may manage keys may also read them. */
type MayRead = 'api-keys:read' | 'api-keys:manage';

/** The maximum number of keys in a list without pages. */
const MAX_UNPAGED = 1_000;
/** How many keys one statement reads. Building one of the largest, of 60 kB, takes the serving thread 0.3 ms. */
const READ_AT_ONCE = 25;

/** Reads keys. Others create and change them: {@link ApiKeyCreation}, {@link ApiKeyChanges}. */
@Injectable()
export class ApiKeysService {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly usage: UsageService,
    private readonly searches: KeySearches,
  ) {}

  async list(authority: AuthorityInEach<MayRead>, query: ApiKeyQuery) {
    const { ids, total, nextCursor } = await this.#search(authority, query);
    return { data: await this.#read(ids, (view) => view), total, nextCursor };
  }

  /**
   * The complete list, for clients that do not support pages.
   * @throws DomainError `limit_reached` if the list is longer than {@link MAX_UNPAGED}
   */
  async listAll<R>(
    authority: AuthorityInEach<MayRead>,
    query: Omit<ApiKeyQuery, 'limit' | 'cursor'>,
    present: (view: ApiKeyView) => R,
  ): Promise<R[]> {
    const { ids, nextCursor } = await this.#search(authority, { ...query, limit: MAX_UNPAGED });
    if (nextCursor) {
      throw new DomainError(
        'limit_reached',
        `There are more than ${MAX_UNPAGED.toLocaleString('en')} keys, which this list cannot show: read them in pages from ` +
          'GET /api/v1/api-keys, or revoke keys that are no longer needed',
      );
    }
    return this.#read(ids, present);
  }

  #search(authority: AuthorityInEach<MayRead>, query: ApiKeyQuery) {
    return searchApiKeys(this.searches, { ...query, ...searchWithin(authority) }, this.clock.now());
  }

  async #read<R>(ids: readonly string[], present: (view: ApiKeyView) => R): Promise<R[]> {
    const presented: R[] = [];
    for (let at = 0; at < ids.length; at += READ_AT_ONCE) {
      presented.push(...(await this.#readAtOnce(ids.slice(at, at + READ_AT_ONCE))).map(present));
    }
    return presented;
  }

  async #readAtOnce(ids: readonly string[]): Promise<ApiKeyView[]> {
    const em = this.em.fork();
    const found = new Map((await em.find(ApiKey, { id: { $in: [...ids] } })).map((apiKey) => [apiKey.id, apiKey]));
    return withUsage(
      this.usage,
      em,
      ids.flatMap((id) => found.get(id) ?? []),
    );
  }

  async get(authority: Authority<MayRead>, id: string): Promise<ApiKeyView> {
    const em = this.em.fork();
    return (await withUsage(this.usage, em, [await findCovered(em, authority, id)]))[0]!;
  }

  /** The secrets that have not ended, the newest first. A key in a final state has none. */
  async listSecrets(authority: Authority<MayRead>, id: string): Promise<SecretView[]> {
    const em = this.em.fork();
    const now = this.clock.now();
    if (isFinal(stateOf(await findCovered(em, authority, id), now))) return [];
    const current = { $or: [{ endedAt: null }, { endedAt: { $gt: now } }] };
    const secrets = await em.find(ApiKeySecret, { apiKeyId: id, ...current }, { orderBy: { id: 'desc' } });
    const lastUses = await this.usage.ofSecrets(
      em,
      secrets.map((secret) => secret.id),
    );
    return secrets.map((secret) => ({ secret, lastUsedAt: lastUses.get(secret.id) ?? null }));
  }

  /** For dialects that name keys by their number. The key may be managed by others. @returns undefined if none has it */
  async findByNumber(number: number): Promise<Pick<ApiKey, 'id' | 'organizationId'> | null> {
    return this.em.fork().findOne(ApiKey, { number, deletedAt: null });
  }
}

/** @throws DomainError `not_found`, also for a key that the caller may not read */
export async function findCovered(em: EntityManager, authority: Authority<MayRead>, id: string): Promise<ApiKey> {
  const { organizationId, rights } = authority;
  const apiKey = await em.findOne(ApiKey, { id, organizationId, deletedAt: null });
  if (!apiKey || !includesKey(rights, apiKey)) throw noSuchApiKey();
  return apiKey;
}
