import { LockMode, UniqueConstraintViolationException } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { generateToken, parseToken } from '#libs/api-key-format/token.js';
import { recordOperatorAction } from '#libs/auth/operator-action.js';
import {
  actorOf,
  homeOrganization,
  personOf,
  turnOf,
  turnToTakeAway,
  type Principal,
  type UserPrincipal,
} from '#libs/auth/principal.js';
import { SessionsService } from '#libs/auth/sessions.service.js';
import { User } from '#libs/auth/user.entity.js';
import type { Environment, Metadata } from '#libs/contract/api-keys.js';
import { keyTextNames, type KeyTexts } from '#libs/contract/api-key-texts.js';
import type { DomainEventType } from '#libs/contract/events.js';
import { newId, toUuid } from '#libs/contract/ids.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import type { RateLimit } from '#libs/contract/rate-limits.js';
import { commonScopes, missingScopes } from '#libs/contract/scopes.js';
import { asMissing, Authorities } from '#libs/organizations/authorities.service.js';
import { beyond, type Authority } from '#libs/organizations/authority.js';
import { Organization } from '#libs/organizations/organization.entity.js';
import { Project } from '#libs/organizations/project.entity.js';
import { OperatorReads } from '#libs/organizations/operator-reads.js';
import { noSuchProject } from '#libs/organizations/projects.service.js';
import { Clock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { DomainError, invalidInput } from '#libs/platform/errors.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import { Changes, type Change } from '#libs/admission/changes.js';
import type { NewEvent } from '#libs/outbox/event.js';
import { changesOf, refuseOtherVersion, touch } from '#libs/platform/versions.js';
import { UsageService, type KeyUsage } from '#libs/usage/usage.service.js';
import { ApiKeyLimits } from './api-key-limits.js';
import { ApiKey, ApiKeySecret } from './api-key.entity.js';
import { searchApiKeys, type ApiKeySearch } from './api-key-search.js';
import { aboutProject, prefixOfTokens, textColumns, textsOf } from './api-key.js';
import {
  endsByRotation,
  expiryIn,
  isFinal,
  MAX_EXPIRY_DAYS,
  mayExpireAt,
  operations,
  stateOf,
  transition,
  type KeyOperation,
  type Transition,
} from './key-lifecycle.js';
import { countRates } from './rate-limits.js';
import { RegisteredScopes } from './registered-scopes.js';
import { Secrets } from './verification/secrets.js';
import { scopesOfPublicKey, type ApiKeyRecord } from './verification/verification.js';

export interface NewApiKey {
  readonly name: string;
  readonly texts?: Partial<KeyTexts> | undefined;
  readonly metadata?: Metadata | undefined;
  readonly organizationId?: string | undefined;
  readonly projectId?: string | undefined;
  /** `all` means every scope that the caller may grant, `application` the application scopes among them. */
  readonly scopes: readonly string[] | 'all' | 'application';
  readonly environment?: Environment | undefined;
  readonly expiresInDays?: number | undefined;
  readonly allowedDomains?: readonly string[] | undefined;
  readonly publicScopes?: readonly string[] | null | undefined;
  readonly allowedIps?: readonly string[] | undefined;
  readonly rateLimits?: readonly RateLimit[] | undefined;
  /** The beginning of all secrets of the key; by default, the environment selects it. */
  readonly prefix?: string;
  /** No other active or disabled key of the organization may have this name. */
  readonly uniquelyNamed?: boolean;
}

export interface ApiKeyPatch extends Partial<KeyTexts> {
  readonly name?: string | undefined;
  readonly metadata?: Metadata | undefined;
  readonly scopes?: string[] | undefined;
  readonly expires_at?: string | null | undefined;
  readonly allowed_domains?: string[] | undefined;
  readonly public_scopes?: string[] | null | undefined;
  readonly allowed_ips?: string[] | undefined;
  readonly rate_limits?: RateLimit[] | undefined;
}

/** The filters of a list. The authority of the caller determines which organizations and projects it covers. */
export type ApiKeyQuery = Omit<ApiKeySearch, 'organizationIds' | 'withinProject' | 'ownKeysOnly'> & {
  readonly organizationId?: string | undefined;
};

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

/** The maximum number of keys in a list without pages. */
const MAX_UNPAGED = 1_000;

const MANAGE = 'api-keys:manage';

/** Operations that end something that worked. An update can narrow a key too, but is no way to stop a key at once. */
const takesAway: ReadonlySet<KeyOperation> = new Set(['rotate', 'disable', 'revoke', 'delete']);

/** A handle has ten random characters. After a collision, which is very unlikely, try another one. */
const HANDLE_ATTEMPTS = 3;

@Injectable()
export class ApiKeysService {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly config: Config,
    private readonly changes: Changes,
    private readonly sessions: SessionsService,
    private readonly authorities: Authorities,
    private readonly operatorReads: OperatorReads,
    private readonly registered: RegisteredScopes,
    private readonly secrets: Secrets,
    private readonly usage: UsageService,
    private readonly limits: ApiKeyLimits,
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
  ) {}

  async create(principal: Principal, input: NewApiKey): Promise<ApiKeyWithToken> {
    if (typeof input.scopes !== 'string') this.registered.refuseUnknown('body.scopes', input.scopes);
    if (input.publicScopes) this.registered.refuseUnknown('body.public_scopes', input.publicScopes);
    const organizationId = input.organizationId ?? homeOrganization(principal);
    const environment =
      input.environment ??
      (principal.type === 'api_key' ? principal.environment : this.config.settings.DEFAULT_KEY_ENVIRONMENT);

    const request = { ...input, organizationId, environment };
    const before = this.em.fork();
    const held = await this.authorities.requireAsMember(before, principal, MANAGE, organizationId, 'project');
    const { projectId } = await this.#authorize(before, held, request, this.clock.now(), LockMode.NONE);
    await this.limits.refuseTooMany(before, organizationId, projectId, 1);

    // Hash the token before the transaction, so that no lock is held while Argon2id runs.
    return this.#withNewToken(principal, input.prefix ?? `sk_${environment}`, ({ token, handle, prefix, hash }) =>
      this.changes.inTurn(turnOf(principal)).create(organizationId, async ({ em, record }) => {
        const own = await this.authorities.requireNow(em, principal, MANAGE, organizationId, 'project');
        const now = this.clock.now();
        const wanted = await this.#authorize(em, own, request, now, LockMode.PESSIMISTIC_WRITE);

        const actor = actorOf(principal);
        const accountable =
          principal.type === 'user' ? principal : await em.findOneOrFail(User, principal.accountableUserId);
        const { id: accountableUserId, ...accountableUser } = personOf(accountable);
        const apiKey = em.create(ApiKey, {
          id: newId('key', now),
          organizationId,
          projectId: wanted.projectId,
          name: input.name,
          ...textColumns(input.texts ?? {}),
          metadata: input.metadata ?? {},
          publicKey: generateToken(`pk_${environment}`),
          prefix,
          environment,
          scopes: [...wanted.scopes],
          allowedDomains: [...(input.allowedDomains ?? [])],
          publicScopes: input.publicScopes ? [...input.publicScopes] : null,
          allowedIps: [...wanted.allowedIps],
          rateLimits: [...wanted.rateLimits],
          createdByType: principal.type,
          createdById: toUuid(actor.id!),
          accountableUserId,
          ownKeysOnly: own.keysOf !== null,
          createdAt: now,
          updatedAt: now,
          expiresAt: wanted.expiresAt,
          version: 1,
        });
        await em.flush();
        await this.limits.refuseTooMany(em, organizationId, wanted.projectId);
        const secret = newSecret(em, apiKey.id, handle, hash, now);
        await em.flush();
        await countRates(em, apiKey);
        record({
          type: 'api_key.created',
          subject: apiKey.id,
          actor,
          data: {
            ...aboutProject(apiKey),
            secret_id: secret.id,
            number: Number(apiKey.number),
            prefix,
            name: apiKey.name,
            environment,
            scopes: apiKey.scopes,
            expires_at: wanted.expiresAt?.toISOString() ?? null,
            ...textsOf(apiKey),
            metadata: apiKey.metadata,
            public_key: apiKey.publicKey,
            allowed_domains: apiKey.allowedDomains,
            public_scopes: apiKey.publicScopes ?? null,
            allowed_ips: apiKey.allowedIps,
            accountable_user_id: accountableUserId,
            accountable_user: accountableUser,
            own_keys_only: apiKey.ownKeysOnly,
            ...(apiKey.rateLimits.length > 0 && { rate_limits: apiKey.rateLimits }),
          },
        });
        return { apiKey, usage: undefined, token };
      }),
    );
  }

  async list(principal: Principal, query: ApiKeyQuery) {
    const em = this.em.fork();
    const managed = await this.authorities.covered(em, principal, MANAGE, query.organizationId);
    const { ids, total, nextCursor } = await searchApiKeys(
      this.pool,
      { ...query, ...searchWithin(managed) },
      this.clock.now(),
    );
    const found = new Map((await em.find(ApiKey, { id: { $in: [...ids] } })).map((apiKey) => [apiKey.id, apiKey]));
    return {
      data: await this.#withUsage(
        em,
        ids.flatMap((id) => found.get(id) ?? []),
      ),
      total,
      nextCursor,
    };
  }

  /**
   * The complete list, for clients that do not support pages.
   * @throws DomainError `limit_reached` if the list is longer than {@link MAX_UNPAGED}
   */
  async listAll(principal: Principal, query: Omit<ApiKeyQuery, 'limit' | 'cursor'>): Promise<ApiKeyView[]> {
    const { data, nextCursor } = await this.list(principal, { ...query, limit: MAX_UNPAGED });
    if (!nextCursor) return data;
    throw new DomainError(
      'limit_reached',
      `There are more than ${MAX_UNPAGED.toLocaleString('en')} keys, which this list cannot show: read them in pages from ` +
        'GET /api/v1/api-keys, or revoke keys that are no longer needed',
    );
  }

  async get(principal: Principal, id: string): Promise<ApiKeyView> {
    const em = this.em.fork();
    return (await this.#withUsage(em, [await this.#find(em, principal, id)]))[0]!;
  }

  /** The secrets that have not ended, the newest first. A key in a final state has none. */
  async listSecrets(principal: Principal, id: string): Promise<SecretView[]> {
    const em = this.em.fork();
    const now = this.clock.now();
    if (isFinal(stateOf(await this.#find(em, principal, id), now))) return [];
    const notEnded = { $or: [{ endedAt: null }, { endedAt: { $gt: now } }] };
    const secrets = await em.find(ApiKeySecret, { apiKeyId: id, ...notEnded }, { orderBy: { id: 'desc' } });
    const lastUses = await this.usage.ofSecrets(
      em,
      secrets.map((secret) => secret.id),
    );
    return secrets.map((secret) => ({ secret, lastUsedAt: lastUses.get(secret.id) ?? null }));
  }

  /** Finds a key of any organization by its number. The calling code must check whether its user may see the key. */
  async findByNumber(number: number): Promise<Pick<ApiKey, 'id' | 'organizationId'> | null> {
    return this.em.fork().findOne(ApiKey, { number, deletedAt: null });
  }

  /** Which keys the principal may verify: those of one project, of its organizations, or of all organizations. */
  async verifiable(principal: Principal): Promise<(record: ApiKeyRecord) => boolean> {
    if (principal.type === 'api_key' && principal.scopes.includes('deployment:verify')) return () => true;
    const organizations = await this.authorities.organizationsWith(this.em.fork(), principal, 'api-keys:verify');
    return ({ organizationId, projectId }) => {
      const own = organizations.get(organizationId);
      return own !== undefined && (own.projectId === null || own.projectId === projectId);
    };
  }

  /** @param graceSeconds how long the current secret still works; earlier ones end now */
  async rotate(principal: Principal, id: string, graceSeconds: number): Promise<ApiKeyWithToken> {
    const em = this.em.fork();
    const before = await this.#find(em, principal, id);
    // Check before Argon2id runs, and again in the transaction.
    const held = await asMissing(noSuchKey, () =>
      this.authorities.requireAsMember(em, principal, MANAGE, before.organizationId, 'project'),
    );
    requireTransition(before, 'rotate', this.clock.now());
    refuseBeyond(held, authorityOf(before));
    const usage = (await this.usage.ofApiKeys(em, [id])).get(id);
    return this.#withNewToken(principal, prefixOfTokens(before), ({ token, handle, prefix, hash }) =>
      this.#alter(principal, before, 'rotate', async ({ em, apiKey, own, now, record }) => {
        refuseBeyond(own, authorityOf(apiKey));

        const secrets = await em.find(ApiKeySecret, {
          apiKeyId: id,
          $or: [{ endedAt: null }, { endedAt: { $gt: now } }],
        });
        const { presentId, ends } = endsByRotation(secrets, graceSeconds, now);
        for (const secret of secrets) secret.endedAt = ends.get(secret.id)!;
        apiKey.prefix = prefix;
        apiKey.rotatedAt = now;
        touch(apiKey, now);
        // Write the end of the old secret first: a unique index allows one current secret for each key.
        await em.flush();
        const secret = newSecret(em, id, handle, hash, now);
        await em.flush();
        record({
          type: 'api_key.rotated',
          data: {
            secret_id: secret.id,
            previous_secret_id: presentId,
            prefix,
            ...(graceSeconds > 0 && { previous_secret_ends_at: ends.get(presentId)!.toISOString() }),
          },
        });
        return { apiKey, usage, token };
      }),
    );
  }

  update(principal: Principal, id: string, patch: ApiKeyPatch, ifMatch: string | undefined): Promise<ApiKeyView> {
    if (patch.scopes) this.registered.refuseUnknown('body.scopes', patch.scopes);
    if (patch.public_scopes) this.registered.refuseUnknown('body.public_scopes', patch.public_scopes);
    return this.#change(principal, id, 'update', async ({ em, apiKey, own, now, record }) => {
      refuseOtherVersion(apiKey, ifMatch);
      const changes = changesOf(fieldsOf(apiKey), normalize(patch));
      if (changes['expires_at']) refuseBadExpiry(patch.expires_at, now);
      const held = authorityOf(apiKey);
      const heldInPublic = this.#publicReach(apiKey);
      em.assign(apiKey, {
        ...(changes['name'] && { name: patch.name }),
        ...textColumns(
          patch,
          keyTextNames.filter((name) => changes[name]),
        ),
        ...(changes['metadata'] && { metadata: patch.metadata }),
        ...(changes['scopes'] && { scopes: patch.scopes }),
        ...(changes['expires_at'] && { expiresAt: patch.expires_at ? new Date(patch.expires_at) : null }),
        ...(changes['allowed_domains'] && { allowedDomains: patch.allowed_domains }),
        ...(changes['public_scopes'] && { publicScopes: patch.public_scopes ?? null }),
        ...(changes['allowed_ips'] && { allowedIps: patch.allowed_ips }),
        ...(changes['rate_limits'] && { rateLimits: patch.rate_limits }),
      });
      // A caller that manages a key may narrow it. To widen it, the caller must have the new rights.
      if (beyond(held, authorityOf(apiKey)).length > 0) refuseBeyond(own, authorityOf(apiKey));
      this.#refuseBadPublicScopes(apiKey.scopes, apiKey.publicScopes);
      // The same holds for the public key, because the caller could use it with a forged Origin.
      const inPublic = this.#publicReach(apiKey);
      if (isWider(inPublic, heldInPublic)) refuseBeyond(own, { ...authorityOf(apiKey), scopes: inPublic.scopes });
      const gained = missingScopes(held.scopes, apiKey.scopes);
      if (gained.length > 0) {
        refuseBeyondCeiling((await em.findOneOrFail(Organization, apiKey.organizationId)).scopeCeiling, gained);
      }
      if (Object.keys(changes).length === 0) return;
      if (changes['rate_limits']) await countRates(em, apiKey);
      touch(apiKey, now);
      record({ type: 'api_key.updated', data: { changes } });
    });
  }

  enable(principal: Principal, id: string): Promise<ApiKeyView> {
    return this.#change(principal, id, 'enable', (alteration) => {
      refuseBeyond(alteration.own, authorityOf(alteration.apiKey));
      enter(alteration, operations.enable.event, {});
    });
  }

  disable(principal: Principal, id: string): Promise<ApiKeyView> {
    return this.#change(principal, id, 'disable', (alteration) => enter(alteration, operations.disable.event, {}));
  }

  /** Lists still show a revoked key. A repetition changes nothing. */
  revoke(principal: Principal, id: string): Promise<ApiKeyView> {
    return this.#change(principal, id, 'revoke', (alteration) =>
      enter(alteration, operations.revoke.event, { deleted: false }),
    );
  }

  /** Revokes the key and removes it from every list. */
  async delete(principal: Principal, id: string): Promise<void> {
    const before = await this.#find(this.em.fork(), principal, id);
    await this.#alter(principal, before, 'delete', async (alteration) =>
      enter(alteration, operations.delete.event, { deleted: true }),
    );
  }

  /**
   * The keys of all organizations that have `deployment:verify`. Operators can revoke them, because such a key could
   * otherwise outlive the access of its creator.
   */
  async listServiceKeys(operator: UserPrincipal): Promise<ApiKeyView[]> {
    await this.operatorReads.record(operator, DEPLOYMENT_ID);
    const em = this.em.fork();
    const found = await em.find(
      ApiKey,
      { scopes: { $contains: ['deployment:verify'] }, ...notEnded(this.clock.now()) },
      { orderBy: { id: 'asc' } },
    );
    return this.#withUsage(em, found);
  }

  async revokeServiceKey(operator: UserPrincipal, id: string): Promise<ApiKeyView> {
    const isServiceKey = { id, scopes: { $contains: ['deployment:verify'] }, deletedAt: null };
    const found = await this.em.fork().findOne(ApiKey, isServiceKey);
    if (!found) throw noSuchKey();
    const { organizationId } = found;
    const revoke = async ({ em, record }: Change) => {
      await this.sessions.requireOperatorNow(em, operator);
      const apiKey = await em.findOneOrFail(ApiKey, id, { lockMode: LockMode.PESSIMISTIC_WRITE });
      const organization = await em.findOneOrFail(Organization, organizationId);
      const now = this.clock.now();
      enter(
        {
          apiKey,
          now,
          step: requireTransition(apiKey, 'revoke', now),
          record: ({ type, data }) =>
            recordOperatorAction(record, operator, {
              type,
              subject: { id, name: apiKey.name },
              organization,
              data: { ...aboutProject(apiKey), ...data },
            }),
        },
        operations.revoke.event,
        { deleted: false },
      );
      return (await this.#withUsage(em, [apiKey]))[0]!;
    };
    const changes = this.changes.inTurn(turnToTakeAway(operator));
    return changes.alter(organizationId, { kind: 'api_key', id }, revoke, DEPLOYMENT_ID);
  }

  /**
   * The authority of a new key. It is checked before Argon2id runs, so that a caller who may not create the key cannot
   * make the API run it, and again in the transaction that creates the key.
   * @throws DomainError for every reason to reject the creation
   */
  async #authorize(
    em: EntityManager,
    own: Authority,
    input: NewApiKey & { readonly organizationId: string; readonly environment: Environment },
    now: Date,
    lockMode: LockMode.NONE | LockMode.PESSIMISTIC_WRITE,
  ): Promise<Authority> {
    const { organizationId, environment } = input;
    // Lock the organization if names must be unique: two concurrent creations would not see each other.
    const { scopeCeiling } = await em.findOneOrFail(Organization, organizationId, {
      lockMode: input.uniquelyNamed ? lockMode : LockMode.NONE,
    });
    if (input.uniquelyNamed) await refuseTakenName(em, organizationId, input.name, now);
    const wanted: Authority = {
      grants: [],
      scopes:
        typeof input.scopes === 'string'
          ? this.registered.within(own.scopes, scopeCeiling, input.scopes)
          : input.scopes,
      environment,
      expiresAt: expiryIn(input.expiresInDays, now) ?? own.expiresAt,
      projectId: input.projectId ?? own.projectId,
      allowedIps: input.allowedIps ?? own.allowedIps,
      rateLimits: input.rateLimits ?? own.rateLimits,
      keysOf: own.keysOf,
    };
    refuseBeyond(own, wanted);
    refuseBeyondCeiling(scopeCeiling, wanted.scopes);
    this.#refuseBadPublicScopes(wanted.scopes, input.publicScopes);
    if (wanted.projectId) await requireProject(em, organizationId, wanted.projectId, lockMode !== LockMode.NONE);
    return wanted;
  }

  async #find(em: EntityManager, principal: Principal, id: string): Promise<ApiKey> {
    const apiKey = await em.findOne(ApiKey, { id, deletedAt: null });
    if (!apiKey) throw noSuchKey();
    const own = await asMissing(noSuchKey, () =>
      this.authorities.require(em, principal, MANAGE, apiKey.organizationId, 'project'),
    );
    if (!manages(own, apiKey)) throw noSuchKey();
    return apiKey;
  }

  async #change(
    principal: Principal,
    id: string,
    operation: KeyOperation,
    work: (alteration: Alteration) => Promise<void> | void,
  ): Promise<ApiKeyView> {
    const em = this.em.fork();
    const before = await this.#find(em, principal, id);
    // Read the usage before the change takes its locks: other changes wait for these, and no change of a key alters it.
    const usage = (await this.usage.ofApiKeys(em, [id])).get(id);
    return this.#alter(principal, before, operation, async (alteration) => {
      await work(alteration);
      return { apiKey: alteration.apiKey, usage };
    });
  }

  /** Makes a change of one key that invalidates earlier decisions. Reads actor and key again under the shard's lock. */
  #alter<T>(
    principal: Principal,
    before: ApiKey,
    operation: KeyOperation,
    work: (alteration: Alteration) => Promise<T>,
  ): Promise<T> {
    const { id, organizationId } = before;
    const changes = this.changes.inTurn(takesAway.has(operation) ? turnToTakeAway(principal) : turnOf(principal));
    return changes.alter(organizationId, { kind: 'api_key', id }, async ({ em, record }) => {
      const own = await asMissing(noSuchKey, () =>
        this.authorities.requireNow(em, principal, MANAGE, organizationId, 'project'),
      );
      const apiKey = await em.findOne(ApiKey, { id, deletedAt: null }, { lockMode: LockMode.PESSIMISTIC_WRITE });
      if (!apiKey || !manages(own, apiKey)) throw noSuchKey();
      const actor = actorOf(principal);
      const now = this.clock.now();
      return work({
        em,
        apiKey,
        own,
        now,
        step: requireTransition(apiKey, operation, now),
        record: (event) =>
          record({
            ...event,
            data: { ...aboutProject(apiKey), ...event.data },
            subject: { id, name: apiKey.name },
            actor,
          }),
      });
    });
  }

  async #withNewToken<T>(
    principal: Principal,
    tokenPrefix: string,
    store: (made: { token: string; handle: string; prefix: string; hash: string }) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const token = generateToken(tokenPrefix);
      const { handle, display } = parseToken(token)!;
      const hash = await this.secrets.hash(token, turnOf(principal).flow);
      try {
        return await store({ token, handle, prefix: display, hash });
      } catch (error) {
        if (!(error instanceof UniqueConstraintViolationException) || attempt === HANDLE_ATTEMPTS) throw error;
      }
    }
  }

  #publicReach({ scopes, publicScopes, allowedDomains }: ApiKey): PublicReach {
    const key = { scopes, publicScopes: publicScopes ?? null, allowedDomains };
    return { domains: [...allowedDomains], scopes: scopesOfPublicKey(key, this.registered.application) };
  }

  /** @throws DomainError that names every scope that the public key of such a key cannot have */
  #refuseBadPublicScopes(scopes: readonly string[], publicScopes: readonly string[] | null | undefined): void {
    const possible = commonScopes(scopes, this.registered.application);
    const excess = missingScopes(possible, publicScopes ?? []);
    if (excess.length === 0) return;
    throw invalidInput({
      location: 'body.public_scopes',
      message: `must lie within the scopes of the key and hold nothing that is built in: not ${excess.join(', ')}`,
    });
  }

  async #withUsage(em: EntityManager, apiKeys: readonly ApiKey[]): Promise<ApiKeyView[]> {
    const usage = await this.usage.ofApiKeys(
      em,
      apiKeys.map((apiKey) => apiKey.id),
    );
    return apiKeys.map((apiKey) => ({ apiKey, usage: usage.get(apiKey.id) }));
  }
}

interface Alteration {
  readonly em: EntityManager;
  /** The current row, locked. */
  readonly apiKey: ApiKey;
  /** The current authority of the actor in the organization. */
  readonly own: Authority;
  readonly now: Date;
  /** The transition of the key. */
  readonly step: Step;
  readonly record: <T extends ApiKeyEventType>(event: Pick<NewEvent<T>, 'type' | 'data'>) => void;
}

type Step = Exclude<Transition, { readonly refused: unknown }>;

type ApiKeyEventType = Extract<DomainEventType, `api_key.${string}`>;

/** What the public key alone allows, for anyone whose Origin header names one of the domains. */
interface PublicReach {
  readonly domains: readonly string[];
  readonly scopes: readonly string[];
}

function isWider(reach: PublicReach, than: PublicReach): boolean {
  return (
    missingScopes(than.scopes, reach.scopes).length > 0 ||
    reach.domains.some((domain) => !than.domains.includes(domain))
  );
}

export function noSuchKey(): DomainError {
  return new DomainError('not_found', 'There is no such API key');
}

function authorityOf(apiKey: ApiKey): Authority {
  const { scopes, environment, expiresAt, projectId, allowedIps, rateLimits, ownKeysOnly, accountableUserId } = apiKey;
  return {
    scopes: [...scopes],
    grants: [],
    environment,
    expiresAt: expiresAt ?? null,
    projectId: projectId ?? null,
    allowedIps: [...allowedIps],
    rateLimits: [...rateLimits],
    keysOf: ownKeysOnly ? accountableUserId : null,
  };
}

/** Whether an authority covers the management of a key. */
function manages({ projectId, keysOf }: Authority, apiKey: ApiKey): boolean {
  if (projectId && apiKey.projectId !== projectId) return false;
  return !keysOf || apiKey.accountableUserId === keysOf;
}

/** The same as search filters. A limit to a project, or to one user's keys, is the same in all organizations. */
function searchWithin(managed: ReadonlyMap<string, Authority>) {
  const limited = [...managed].filter(([, { keysOf }]) => keysOf !== null);
  return {
    organizationIds: [...managed.keys()],
    withinProject: [...managed.values()].find(({ projectId }) => projectId)?.projectId,
    ownKeysOnly: {
      organizationIds: limited.map(([organizationId]) => organizationId),
      userId: limited[0]?.[1].keysOf ?? null,
    },
  };
}

/** Only keys that have not ended block a name. */
async function refuseTakenName(em: EntityManager, organizationId: string, name: string, now: Date): Promise<void> {
  const taken = await em.count(ApiKey, { organizationId, name, ...notEnded(now) });
  if (taken > 0) throw new DomainError('conflict', 'A key with this name exists; delete it, or take another name');
}

/** @param locked keeps the project from being deleted before the key is committed */
async function requireProject(em: EntityManager, organizationId: string, id: string, locked: boolean): Promise<void> {
  const options = { lockMode: locked ? LockMode.PESSIMISTIC_READ : LockMode.NONE };
  if (!(await em.findOne(Project, { id, organizationId, deletedAt: null }, options))) throw noSuchProject();
}

function refuseBeyondCeiling(ceiling: readonly string[] | null | undefined, scopes: readonly string[]): void {
  const excess = ceiling ? missingScopes(ceiling, scopes) : [];
  if (excess.length > 0) {
    throw new DomainError('beyond_authority', `An operator has not given this organization ${excess.join(', ')}`);
  }
}

/** A filter for keys that are active or disabled. */
function notEnded(now: Date) {
  return { deletedAt: null, revokedAt: null, $or: [{ expiresAt: null }, { expiresAt: { $gt: now } }] };
}

/** The fields that `PATCH` can change, by their names in the API. */
function fieldsOf(apiKey: ApiKey) {
  return {
    name: apiKey.name,
    ...textsOf(apiKey),
    metadata: apiKey.metadata,
    scopes: apiKey.scopes,
    expires_at: apiKey.expiresAt?.toISOString() ?? null,
    allowed_domains: apiKey.allowedDomains,
    public_scopes: apiKey.publicScopes ?? null,
    allowed_ips: apiKey.allowedIps,
    rate_limits: apiKey.rateLimits,
  };
}

/** Formats the expiry as the API does, so that the same instant in another time zone is not a change. */
function normalize(patch: ApiKeyPatch) {
  return { ...patch, ...(patch.expires_at && { expires_at: new Date(patch.expires_at).toISOString() }) };
}

/** @throws DomainError if the operation does not apply to a key in this state */
function requireTransition(apiKey: ApiKey, operation: KeyOperation, now: Date): Step {
  const step = transition(apiKey, operation, now);
  if ('refused' in step) throw new DomainError(step.refused, step.why);
  return step;
}

/** Moves the key to the target state of the operation, and records this. Does nothing if the key is in that state. */
function enter<T extends ApiKeyEventType>(
  { apiKey, step, now, record }: Pick<Alteration, 'apiKey' | 'step' | 'now' | 'record'>,
  type: T,
  data: NewEvent<T>['data'],
): void {
  if (step.from === step.to) return;
  Object.assign(apiKey, step.instants);
  if (step.instants.revokedAt) apiKey.ownRevokedAt = step.instants.revokedAt;
  touch(apiKey, now);
  record({ type, data });
}

function refuseBadExpiry(expiresAt: string | null | undefined, now: Date): void {
  if (!expiresAt) return;
  if (mayExpireAt(new Date(expiresAt), now)) return;
  throw invalidInput({
    location: 'body.expires_at',
    message: `must be in the future, by ${MAX_EXPIRY_DAYS} days at the most; to stop a key now, disable or revoke it`,
  });
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
