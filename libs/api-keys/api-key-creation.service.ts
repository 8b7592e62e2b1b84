import { LockMode } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { generateToken } from '#libs/api-key-format/token.js';
import { actorOf, personOf, turnOf } from '#libs/auth/principal.js';
import { User } from '#libs/auth/user.entity.js';
import type { Environment, Metadata } from '#libs/contract/api-key-schemas.js';
import type { KeyTexts } from '#libs/contract/api-key-texts.js';
import { newId, toUuid } from '#libs/contract/ids.js';
import type { KeyPolicy } from '#libs/contract/key-policy.js';
import type { RateLimit } from '#libs/contract/rate-limits.js';
import { Authorities } from '#libs/organizations/authorities.service.js';
import type { Authority } from '#libs/organizations/authority.js';
import { noSuchProject } from '#libs/organizations/missing.js';
import { Organization } from '#libs/organizations/organization.entity.js';
import { Project } from '#libs/organizations/project.entity.js';
import type { Rights } from '#libs/organizations/rights.js';
import { Clock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';
import { respond } from '#libs/platform/idempotency.js';
import { Changes, type Change } from '#libs/admission/changes.js';
import type { NewEvent } from '#libs/outbox/event.js';
import { ApiKeyLimits } from './api-key-limits.js';
import { refuseBeyond, refuseBeyondCeiling } from './api-key-rights.js';
import type { ApiKeyWithToken } from './api-key-view.js';
import { ApiKey, type ApiKeySecret } from './api-key.entity.js';
import { aboutProject, textColumns, textsOf } from './api-key.js';
import { refuseBadExpiry } from './expiry.js';
import { expiryIn, notEnded } from './key-lifecycle.js';
import { inNewKey, refuseBreaches } from './key-policy.js';
import { addSecret, NewSecrets, type NewSecret } from './new-secrets.js';
import { startCounting } from './rate-limits.js';
import { RegisteredScopes } from './registered-scopes.js';

export interface NewApiKey {
  readonly name: string;
  readonly texts?: Partial<KeyTexts> | undefined;
  readonly metadata?: Metadata | undefined;
  readonly projectId?: string | undefined;
  /** `all` means every scope that the caller may grant, `application` the application scopes among them. */
  readonly scopes: readonly string[] | 'all' | 'application';
  readonly environment?: Environment | undefined;
  readonly expiresInDays?: number | undefined;
  /** Instead of a number of days. */
  readonly expiresAt?: Date | undefined;
  readonly allowedDomains?: readonly string[] | undefined;
  readonly publicScopes?: readonly string[] | null | undefined;
  readonly allowedIps?: readonly string[] | undefined;
  readonly rateLimits?: readonly RateLimit[] | undefined;
  /** The beginning of all secrets of the key; by default, the environment selects it. */
  readonly prefix?: string;
  /** No other active or disabled key of the organization may have this name. */
  readonly uniquelyNamed?: boolean;
}

/** A new key with the defaults of its caller. */
type RequestedKey = NewApiKey & { readonly organizationId: string; readonly environment: Environment };

/** What new keys depend on beside their caller. */
export interface Surroundings {
  readonly organization: Organization;
  /** Those of the projects that were asked for and exist. */
  readonly projectIds: ReadonlySet<string>;
}

/** The rights of a new key, and the key policy that it keeps to. */
type NewRights = Rights & { readonly keyPolicy: KeyPolicy };

/** A new key that its caller may create. */
export interface AllowedKey {
  readonly request: RequestedKey;
  readonly wanted: NewRights;
  readonly secret: Pick<NewSecret, 'handle' | 'hash' | 'prefix'>;
}

type MayCreate = Authority<'api-keys:manage'>;

@Injectable()
export class ApiKeyCreation {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly config: Config,
    private readonly changes: Changes,
    private readonly authorities: Authorities,
    private readonly registered: RegisteredScopes,
    private readonly newSecrets: NewSecrets,
    private readonly limits: ApiKeyLimits,
  ) {}

  async create<R extends object>(
    authority: MayCreate,
    input: NewApiKey,
    present: (made: ApiKeyWithToken) => R,
  ): Promise<R> {
    const request = this.requested(authority, input);
    const { caller, organizationId, rights } = authority;

    const before = this.em.fork();
    const { projectId } = await this.#allow(before, rights, request, this.clock.now(), false);
    await this.limits.refuseTooMany(before, organizationId, projectId, 1);

    return this.newSecrets.make(authority, input.prefix ?? `sk_${request.environment}`, (secret) =>
      this.changes.create(turnOf(caller), organizationId, async (change) => {
        const own = await this.authorities.requireNow(change.em, authority);
        const now = this.clock.now();
        const wanted = await this.#allow(change.em, own, request, now, true);
        const allowed = { request, wanted, secret };
        const [apiKey] = await this.store(change, authority, own, 'api_key.created', [allowed], now);
        return respond(change.em, caller.context, present({ apiKey: apiKey!, usage: undefined, token: secret.token }));
      }),
    );
  }

  /** @throws DomainError for scopes that the deployment does not have */
  requested({ caller, organizationId }: MayCreate, input: NewApiKey): RequestedKey {
    if (typeof input.scopes !== 'string') this.registered.refuseUnknown('body.scopes', input.scopes);
    if (input.publicScopes) this.registered.refuseUnknown('body.public_scopes', input.publicScopes);
    const environment =
      input.environment ??
      (caller.type === 'api_key' ? caller.environment : this.config.settings.DEFAULT_KEY_ENVIRONMENT);
    return { ...input, organizationId, environment };
  }

  /**
   * Within the change of `requireNow`: writes keys that {@link authorize} has allowed, and their events.
   * @throws DomainError `limit_reached`
   */
  async store(
    { em, record }: Change,
    { caller, organizationId }: MayCreate,
    own: Rights,
    event: 'api_key.created' | 'api_key.imported',
    allowed: readonly AllowedKey[],
    now: Date,
  ): Promise<ApiKey[]> {
    const accountable = personOf(
      caller.type === 'user' ? caller : await em.findOneOrFail(User, caller.accountableUserId),
    );
    const columns = {
      imported: event === 'api_key.imported',
      createdByType: caller.type,
      createdById: toUuid(actorOf(caller).id!),
      accountableUserId: accountable.id,
      ownKeysOnly: own.keysOf !== null,
      createdAt: now,
      updatedAt: now,
      version: 1,
    };
    const made = allowed.map((key) => em.create(ApiKey, { id: newId('key', now), ...columns, ...columnsOf(key) }));
    await em.flush();
    for (const projectId of new Set(allowed.map(({ wanted }) => wanted.projectId))) {
      await this.limits.refuseTooMany(em, organizationId, projectId);
    }
    const secrets = made.map(({ id }, index) => addSecret(em, id, allowed[index]!.secret, now));
    await em.flush();
    await startCounting(em, made);
    const { name, email } = accountable;
    for (const [index, apiKey] of made.entries()) {
      record({
        type: event,
        subject: apiKey.id,
        actor: actorOf(caller),
        at: now,
        data: { ...createdData(apiKey, secrets[index]!), accountable_user: { name, email } },
      });
    }
    return made;
  }

  /**
   * The rights of a new key. They are checked before Argon2id runs, so that a caller who may not create the key cannot
   * make the API run it, and again in the transaction that creates the key.
   * @throws DomainError for every reason to reject the creation
   */
  async #allow(em: EntityManager, own: Rights, input: RequestedKey, now: Date, locked: boolean): Promise<NewRights> {
    if (input.uniquelyNamed) await refuseTakenName(em, input, now, locked);
    const projectIds = [input.projectId ?? own.projectId];
    return this.authorize(own, await this.surroundings(em, input.organizationId, projectIds, locked), input, now);
  }

  /**
   * Within a change, the lock of the shard keeps the organization as it is.
   * @param locked keeps the projects from being deleted before the commit
   */
  async surroundings(
    em: EntityManager,
    organizationId: string,
    projectIds: readonly (string | null)[],
    locked: boolean,
  ): Promise<Surroundings> {
    const organization = await em.findOneOrFail(Organization, organizationId);
    const ids = [...new Set(projectIds.filter((id) => id !== null))];
    const lockMode = locked ? LockMode.PESSIMISTIC_READ : LockMode.NONE;
    const projects = await em.find(
      Project,
      { id: { $in: ids }, organizationId, deletedAt: null },
      { orderBy: { id: 'asc' }, lockMode },
    );
    return { organization, projectIds: new Set(projects.map(({ id }) => id)) };
  }

  /** @throws DomainError for every reason to reject the creation except a taken name */
  authorize(own: Rights, { organization, projectIds }: Surroundings, input: RequestedKey, now: Date): NewRights {
    const { scopeCeiling, keyPolicy } = organization;
    const { environment } = input;
    const wanted: Rights = {
      grants: [],
      scopes:
        typeof input.scopes === 'string'
          ? this.registered.within(own.scopes, scopeCeiling, input.scopes)
          : input.scopes,
      environment,
      expiresAt: input.expiresAt ?? expiryIn(input.expiresInDays, now) ?? own.expiresAt,
      projectId: input.projectId ?? own.projectId,
      allowedIps: input.allowedIps ?? own.allowedIps,
      rateLimits: input.rateLimits ?? [],
      limitedKey: null,
      keysOf: own.keysOf,
    };
    if (input.expiresAt) refuseBadExpiry(input.expiresAt, now);
    refuseBeyond(own, wanted);
    refuseBeyondCeiling(scopeCeiling, wanted.scopes);
    const locations = inNewKey(input.expiresAt ? 'expires_at' : 'expires_in_days');
    refuseBreaches(keyPolicy, { ...wanted, environment, createdAt: now }, locations);
    this.registered.refuseBadPublicScopes(wanted.scopes, input.publicScopes);
    if (wanted.projectId && !projectIds.has(wanted.projectId)) throw noSuchProject();
    return { ...wanted, keyPolicy };
  }
}

/** The columns that the request decides. */
function columnsOf({ request, wanted, secret }: AllowedKey) {
  return {
    organizationId: request.organizationId,
    projectId: wanted.projectId,
    name: request.name,
    ...textColumns(request.texts ?? {}),
    metadata: request.metadata ?? {},
    publicKey: generateToken(`pk_${request.environment}`),
    prefix: secret.prefix,
    environment: request.environment,
    scopes: [...wanted.scopes],
    allowedDomains: [...(request.allowedDomains ?? [])],
    publicScopes: request.publicScopes ? [...request.publicScopes] : null,
    allowedIps: [...wanted.allowedIps],
    rateLimits: [...wanted.rateLimits],
    expiresAt: wanted.expiresAt,
    keyPolicy: wanted.keyPolicy,
  };
}

/** The event has every field of the key, so that the state of the key can be rebuilt from events alone. */
function createdData(
  apiKey: ApiKey,
  secret: ApiKeySecret,
): Omit<NewEvent<'api_key.created'>['data'], 'accountable_user'> {
  return {
    ...aboutProject(apiKey),
    secret_id: secret.id,
    number: Number(apiKey.number),
    prefix: apiKey.prefix,
    name: apiKey.name,
    environment: apiKey.environment,
    scopes: apiKey.scopes,
    expires_at: apiKey.expiresAt?.toISOString() ?? null,
    ...textsOf(apiKey),
    metadata: apiKey.metadata,
    public_key: apiKey.publicKey,
    allowed_domains: apiKey.allowedDomains,
    public_scopes: apiKey.publicScopes ?? null,
    allowed_ips: apiKey.allowedIps,
    accountable_user_id: apiKey.accountableUserId,
    own_keys_only: apiKey.ownKeysOnly,
    ...(apiKey.rateLimits.length > 0 && { rate_limits: apiKey.rateLimits }),
  };
}

/**
 * Only keys that have not ended block a name.
 * @param locked makes creations wait for each other: two at once would not see each other
 */
async function refuseTakenName(
  em: EntityManager,
  { organizationId, name }: RequestedKey,
  now: Date,
  locked: boolean,
): Promise<void> {
  if (locked) await em.findOneOrFail(Organization, organizationId, { lockMode: LockMode.PESSIMISTIC_WRITE });
  const taken = await em.count(ApiKey, { organizationId, name, ...notEnded(now) });
  if (taken > 0) throw new DomainError('conflict', 'A key with this name exists; delete it, or use another name');
}
