import { LockMode, UniqueConstraintViolationException } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { generateToken, parseToken } from '#libs/api-key-format/token.js';
import { actorOf, homeOrganization, type Principal } from '#libs/auth/principal.js';
import type { Environment } from '#libs/contract/api-keys.js';
import { newId, toUuid } from '#libs/contract/ids.js';
import { missingScopes } from '#libs/contract/scopes.js';
import { Authorities } from '#libs/organizations/authorities.service.js';
import { beyond, type Authority } from '#libs/organizations/authority.js';
import { Clock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { DomainError, invalidInput } from '#libs/platform/errors.js';
import { Changes } from '#libs/platform/events/changes.js';
import { pageOf, type PageRequest } from '#libs/platform/pages.js';
import type { ApiKeyUsage } from '#libs/usage/api-key-usage.entity.js';
import { UsageService } from '#libs/usage/usage.service.js';
import { ApiKey, ApiKeySecret } from './api-key.entity.js';
import { expiryIn, whyNotRotate } from './api-key.js';
import { RegisteredScopes } from './registered-scopes.js';
import { Secrets } from './verification/secrets.js';

export interface NewApiKey {
  readonly name: string;
  readonly organizationId: string | undefined;
  readonly scopes: readonly string[] | undefined;
  readonly environment: Environment | undefined;
  readonly expiresInDays: number | undefined;
}

/** A key as the API shows it: with what was counted of it. */
export interface ApiKeyView {
  readonly apiKey: ApiKey;
  readonly usage: ApiKeyUsage | undefined;
}

export interface ApiKeyWithToken extends ApiKeyView {
  readonly token: string;
}

/** A handle has ten random characters; a collision is a curiosity, not a failure. */
const HANDLE_ATTEMPTS = 3;

@Injectable()
export class ApiKeysService {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly config: Config,
    private readonly changes: Changes,
    private readonly authorities: Authorities,
    private readonly registered: RegisteredScopes,
    private readonly secrets: Secrets,
    private readonly usage: UsageService,
  ) {}

  async create(principal: Principal, input: NewApiKey): Promise<ApiKeyWithToken> {
    if (input.scopes) this.registered.refuseUnknown(input.scopes);
    if (!input.scopes && principal.type === 'api_key') {
      throw invalidInput({ location: 'body.scopes', message: 'must be given when a key creates a key' });
    }
    const organizationId = input.organizationId ?? homeOrganization(principal);
    const environment =
      input.environment ??
      (principal.type === 'api_key' ? principal.environment : this.config.settings.DEFAULT_KEY_ENVIRONMENT);

    // Hashed before the transaction: no lock is held while Argon2id runs.
    return this.#withNewToken(environment, ({ token, handle, prefix, hash }) =>
      this.changes.create(organizationId, async ({ em, record }) => {
        const own = await this.authorities.requireNow(em, principal, 'api-keys:manage', organizationId);
        const now = this.clock.now();
        const scopes = input.scopes ?? this.#grantable(own);
        const expiresAt = expiryIn(input.expiresInDays, now) ?? own.expiresAt;
        refuseBeyond(own, { scopes, environment, expiresAt });

        const actor = actorOf(principal);
        const apiKey = em.create(ApiKey, {
          id: newId('key', now),
          organizationId,
          name: input.name,
          prefix,
          environment,
          scopes: [...scopes],
          createdByType: principal.type,
          createdById: toUuid(actor.id!),
          createdAt: now,
          updatedAt: now,
          expiresAt,
        });
        await em.flush();
        const secret = newSecret(em, apiKey.id, handle, hash, now);
        await em.flush();
        record({
          type: 'api_key.created',
          subject: apiKey.id,
          actor,
          data: {
            secret_id: secret.id,
            name: apiKey.name,
            environment,
            scopes: apiKey.scopes,
            expires_at: expiresAt?.toISOString() ?? null,
          },
        });
        return { apiKey, usage: undefined, token };
      }),
    );
  }

  async list(principal: Principal, organizationId: string | undefined, page: PageRequest) {
    const em = this.em.fork();
    if (organizationId) await this.authorities.require(em, principal, 'api-keys:manage', organizationId);
    const within = organizationId
      ? [organizationId]
      : await this.authorities.organizationsWith(em, principal, 'api-keys:manage');
    const listed = { organizationId: { $in: within }, deletedAt: null };
    const [found, total] = await Promise.all([
      em.find(
        ApiKey,
        { ...listed, ...(page.after && { id: { $lt: page.after } }) },
        { orderBy: { id: 'desc' }, limit: page.limit + 1 },
      ),
      em.fork().count(ApiKey, listed),
    ]);
    const { items, nextCursor } = pageOf(found, page, (apiKey) => apiKey.id);
    return { data: await this.#withUsage(em, items), total, nextCursor };
  }

  async get(principal: Principal, id: string): Promise<ApiKeyView> {
    const em = this.em.fork();
    const apiKey = await em.findOne(ApiKey, { id, deletedAt: null });
    if (!apiKey) throw noSuchKey();
    await this.#requireForKey(() => this.authorities.require(em, principal, 'api-keys:manage', apiKey.organizationId));
    return (await this.#withUsage(em, [apiKey]))[0]!;
  }

  /** The organizations whose keys the principal may verify. */
  async verifiableOrganizations(principal: Principal): Promise<ReadonlySet<string>> {
    return new Set(await this.authorities.organizationsWith(this.em.fork(), principal, 'api-keys:verify'));
  }

  async rotate(principal: Principal, id: string): Promise<ApiKeyWithToken> {
    const { apiKey: before } = await this.get(principal, id);
    return this.#withNewToken(before.environment, ({ token, handle, prefix, hash }) =>
      this.#alter(principal, before, async (em, apiKey, own, now) => {
        const why = whyNotRotate(apiKey, now);
        if (why) throw new DomainError('conflict', why);
        refuseBeyond(own, authorityOf(apiKey));

        const previous = await em.findOneOrFail(ApiKeySecret, { apiKeyId: apiKey.id, endedAt: null });
        previous.endedAt = now;
        apiKey.prefix = prefix;
        apiKey.rotatedAt = now;
        apiKey.updatedAt = now;
        // The old one first: a key has one present secret, and the database holds us to it.
        await em.flush();
        const secret = newSecret(em, apiKey.id, handle, hash, now);
        await em.flush();
        return {
          result: { ...(await this.#withUsage(em, [apiKey]))[0]!, token },
          event: {
            type: 'api_key.rotated',
            data: { secret_id: secret.id, previous_secret_id: previous.id },
          } as const,
        };
      }),
    );
  }

  async delete(principal: Principal, id: string): Promise<void> {
    const { apiKey: before } = await this.get(principal, id);
    await this.#alter(principal, before, async (_em, apiKey, _own, now) => {
      apiKey.revokedAt ??= now;
      apiKey.deletedAt = now;
      apiKey.updatedAt = now;
      return { result: undefined, event: { type: 'api_key.revoked', data: { deleted: true } } as const };
    });
  }

  /** A change of one key that ends decisions made before it. Actor and key are read again under the shard's lock. */
  #alter<T>(
    principal: Principal,
    before: ApiKey,
    work: (em: EntityManager, apiKey: ApiKey, own: Authority, now: Date) => Promise<{ result: T; event: ApiKeyEvent }>,
  ): Promise<T> {
    const { id, organizationId } = before;
    return this.changes.alter(organizationId, { kind: 'api_key', id }, async ({ em, record }) => {
      const own = await this.#requireForKey(() =>
        this.authorities.requireNow(em, principal, 'api-keys:manage', organizationId),
      );
      const apiKey = await em.findOne(ApiKey, { id, deletedAt: null }, { lockMode: LockMode.PESSIMISTIC_WRITE });
      if (!apiKey) throw noSuchKey();
      const { result, event } = await work(em, apiKey, own, this.clock.now());
      record({ ...event, subject: id, actor: actorOf(principal) });
      return result;
    });
  }

  async #withNewToken<T>(
    environment: Environment,
    store: (made: { token: string; handle: string; prefix: string; hash: string }) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const token = generateToken(`sk_${environment}`);
      const { handle, display } = parseToken(token)!;
      const hash = await this.secrets.hash(token);
      try {
        return await store({ token, handle, prefix: display, hash });
      } catch (error) {
        if (!(error instanceof UniqueConstraintViolationException) || attempt === HANDLE_ATTEMPTS) throw error;
      }
    }
  }

  /** By name, not by wildcard: a scope that is registered later is not granted to keys of today. */
  #grantable(own: Authority): string[] {
    return this.registered.all.filter((scope) => missingScopes(own.scopes, [scope]).length === 0);
  }

  async #withUsage(em: EntityManager, apiKeys: readonly ApiKey[]): Promise<ApiKeyView[]> {
    const usage = await this.usage.ofApiKeys(
      em,
      apiKeys.map((apiKey) => apiKey.id),
    );
    return apiKeys.map((apiKey) => ({ apiKey, usage: usage.get(apiKey.id) }));
  }

  /** Whose organization it is not, to them the key does not exist. */
  async #requireForKey(require: () => Promise<Authority>): Promise<Authority> {
    try {
      return await require();
    } catch (error) {
      throw error instanceof DomainError && error.code === 'not_found' ? noSuchKey() : error;
    }
  }
}

type ApiKeyEvent =
  | { type: 'api_key.rotated'; data: { secret_id: string; previous_secret_id: string } }
  | { type: 'api_key.revoked'; data: { deleted: boolean } };

function noSuchKey(): DomainError {
  return new DomainError('not_found', 'There is no such API key');
}

function authorityOf({ scopes, environment, expiresAt }: ApiKey): Authority {
  return { scopes, environment, expiresAt: expiresAt ?? null };
}

function refuseBeyond(own: Authority, wanted: Authority): void {
  const excess = beyond(own, wanted);
  if (excess.length > 0) {
    throw new DomainError('beyond_authority', `Your credential does not have ${excess.join(', ')}`);
  }
}

function newSecret(em: EntityManager, apiKeyId: string, handle: string, hash: string, now: Date): ApiKeySecret {
  return em.create(ApiKeySecret, { id: newId('secret', now), apiKeyId, handle, hash, createdAt: now });
}
