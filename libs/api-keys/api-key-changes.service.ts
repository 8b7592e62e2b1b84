import { LockMode } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { actorOf, turnOf, turnToTakeAway } from '#libs/auth/principal.js';
import type { Metadata } from '#libs/contract/api-key-schemas.js';
import { keyTextNames, type KeyTexts } from '#libs/contract/api-key-texts.js';
import type { RateLimit } from '#libs/contract/rate-limits.js';
import { missingScopes } from '#libs/contract/scopes.js';
import { Authorities } from '#libs/organizations/authorities.service.js';
import type { Authority } from '#libs/organizations/authority.js';
import { asMissing, noSuchApiKey } from '#libs/organizations/missing.js';
import { Organization } from '#libs/organizations/organization.entity.js';
import { beyond, includesKey, type Rights } from '#libs/organizations/rights.js';
import { Clock } from '#libs/platform/clock.js';
import { respond } from '#libs/platform/idempotency.js';
import { Changes } from '#libs/admission/changes.js';
import { changesOf, refuseOtherVersion, touch, type FieldChanges } from '#libs/platform/versions.js';
import { UsageService } from '#libs/usage/usage.service.js';
import { isWider, publicReach, refuseBeyond, refuseBeyondCeiling, rightsOf } from './api-key-rights.js';
import { enter, requireTransition, type Operation } from './api-key-transition.js';
import type { ApiKeyView, ApiKeyWithToken } from './api-key-view.js';
import { ApiKey, ApiKeySecret } from './api-key.entity.js';
import { aboutProject, prefixOfTokens, textColumns, textsOf } from './api-key.js';
import { findCovered } from './api-keys.service.js';
import { refuseBadExpiry } from './expiry.js';
import { endsByRotation, operations, type KeyOperation } from './key-lifecycle.js';
import { IN_UPDATE, refuseBreaches } from './key-policy.js';
import { addSecret, NewSecrets, type NewSecret } from './new-secrets.js';
import { countRates } from './rate-limits.js';
import { RegisteredScopes } from './registered-scopes.js';

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

/** Operations that end something that worked. An update can narrow a key too, but is no way to stop a key at once. */
const takesAway: ReadonlySet<KeyOperation> = new Set(['rotate', 'disable', 'revoke', 'delete']);

/** The key of a call. */
export interface NamedKey {
  readonly id: string;
  /** The ETag of the only version that the call may change. */
  readonly ifMatch?: string | undefined;
}

/** An operation of a caller, within its transaction. */
interface Alteration extends Operation {
  readonly em: EntityManager;
  /** The current rights of the caller in the organization. */
  readonly own: Rights;
}

/** Changes of one key at a time. Each makes earlier decisions about the key wrong. */
@Injectable()
export class ApiKeyChanges {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly changes: Changes,
    private readonly authorities: Authorities,
    private readonly registered: RegisteredScopes,
    private readonly newSecrets: NewSecrets,
    private readonly usage: UsageService,
  ) {}

  /** @param graceSeconds how long the current secret still works; earlier ones end now */
  async rotate<R extends object>(
    authority: Authority<'api-keys:manage'>,
    named: NamedKey,
    graceSeconds: number,
    present: (rotated: ApiKeyWithToken) => R,
  ): Promise<R> {
    const { caller, rights } = authority;
    const em = this.em.fork();
    // Check before Argon2id runs, and again in the transaction.
    const before = await findCovered(em, authority, named.id);
    refuseOtherVersion(before, named.ifMatch);
    requireTransition(before, 'rotate', this.clock.now());
    refuseBeyond(rights, rightsOf(before));
    refuseBreaches(before.keyPolicy, before);
    const usage = (await this.usage.ofApiKeys(em, [before.id])).get(before.id);
    return this.newSecrets.make(authority, prefixOfTokens(before), (made) =>
      this.#alter(authority, named, 'rotate', async (alteration) => {
        refuseBeyond(alteration.own, rightsOf(alteration.apiKey));
        refuseBreaches(alteration.apiKey.keyPolicy, alteration.apiKey);
        await replaceSecret(alteration, made, graceSeconds);
        const { em, apiKey } = alteration;
        return respond(em, caller.context, present({ apiKey, usage, token: made.token }));
      }),
    );
  }

  update(authority: Authority<'api-keys:manage'>, named: NamedKey, patch: ApiKeyPatch): Promise<ApiKeyView> {
    if (patch.scopes) this.registered.refuseUnknown('body.scopes', patch.scopes);
    if (patch.public_scopes) this.registered.refuseUnknown('body.public_scopes', patch.public_scopes);
    return this.#change(authority, named, 'update', async ({ em, apiKey, own, now, record }) => {
      const changes = changesOf(fieldsOf(apiKey), normalize(patch));
      if (changes['expires_at'] && patch.expires_at) refuseBadExpiry(new Date(patch.expires_at), now);
      const held = rightsOf(apiKey);
      const heldInPublic = publicReach(apiKey, this.registered.application);
      assign(em, apiKey, patch, changes);
      // A caller that manages a key may narrow it. To widen it, the caller must have the new rights.
      const isWidened = beyond(held, rightsOf(apiKey)).length > 0;
      if (isWidened) refuseBeyond(own, rightsOf(apiKey));
      this.registered.refuseBadPublicScopes(apiKey.scopes, apiKey.publicScopes);
      // The same holds for the public key, because the caller could use it with a forged Origin.
      const inPublic = publicReach(apiKey, this.registered.application);
      const isWidenedInPublic = isWider(inPublic, heldInPublic);
      if (isWidenedInPublic) refuseBeyond(own, { ...rightsOf(apiKey), scopes: inPublic.scopes });
      // A key that breaks the policy may still be narrowed.
      if (isWidened || isWidenedInPublic) refuseBreaches(apiKey.keyPolicy, apiKey, IN_UPDATE);
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

  enable(authority: Authority<'api-keys:manage'>, named: NamedKey): Promise<ApiKeyView> {
    return this.#change(authority, named, 'enable', (alteration) => {
      refuseBeyond(alteration.own, rightsOf(alteration.apiKey));
      refuseBreaches(alteration.apiKey.keyPolicy, alteration.apiKey);
      enter(alteration, operations.enable.event, {});
    });
  }

  disable(authority: Authority<'api-keys:manage'>, named: NamedKey): Promise<ApiKeyView> {
    return this.#change(authority, named, 'disable', (alteration) => enter(alteration, operations.disable.event, {}));
  }

  /** Lists still show a revoked key. A repetition changes nothing. */
  revoke(authority: Authority<'api-keys:manage'>, named: NamedKey): Promise<ApiKeyView> {
    return this.#change(authority, named, 'revoke', (alteration) =>
      enter(alteration, operations.revoke.event, { deleted: false }),
    );
  }

  /** Revokes the key and removes it from every list. */
  async delete(authority: Authority<'api-keys:manage'>, named: NamedKey): Promise<void> {
    await findCovered(this.em.fork(), authority, named.id);
    await this.#alter(authority, named, 'delete', async (alteration) =>
      enter(alteration, operations.delete.event, { deleted: true }),
    );
  }

  async #change(
    authority: Authority<'api-keys:manage'>,
    named: NamedKey,
    operation: KeyOperation,
    work: (alteration: Alteration) => Promise<void> | void,
  ): Promise<ApiKeyView> {
    const em = this.em.fork();
    const { id } = await findCovered(em, authority, named.id);
    // Read the usage before the change takes its locks: other changes wait for these, and no change of a key alters it.
    const usage = (await this.usage.ofApiKeys(em, [id])).get(id);
    return this.#alter(authority, named, operation, async (alteration) => {
      await work(alteration);
      return { apiKey: alteration.apiKey, usage };
    });
  }

  /** Makes a change of one key that invalidates earlier decisions. Reads actor and key again under the shard's lock. */
  #alter<T>(
    authority: Authority<'api-keys:manage'>,
    { id, ifMatch }: NamedKey,
    operation: KeyOperation,
    work: (alteration: Alteration) => Promise<T>,
  ): Promise<T> {
    const { caller, organizationId } = authority;
    const turn = takesAway.has(operation) ? turnToTakeAway(caller) : turnOf(caller);
    return this.changes.alter(turn, organizationId, { kind: 'api_key', id }, async ({ em, record }) => {
      const own = await asMissing(noSuchApiKey, () => this.authorities.requireNow(em, authority));
      const wanted = { id, organizationId, deletedAt: null };
      const apiKey = await em.findOne(ApiKey, wanted, { lockMode: LockMode.PESSIMISTIC_WRITE });
      if (!apiKey || !includesKey(own, apiKey)) throw noSuchApiKey();
      refuseOtherVersion(apiKey, ifMatch);
      const actor = actorOf(caller);
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
            at: now,
          }),
      });
    });
  }
}

/** Gives the key a new secret. The current one goes on for the grace period, earlier ones end now. */
async function replaceSecret(
  { em, apiKey, now, record }: Alteration,
  made: NewSecret,
  graceSeconds: number,
): Promise<void> {
  const secrets = await em.find(ApiKeySecret, {
    apiKeyId: apiKey.id,
    $or: [{ endedAt: null }, { endedAt: { $gt: now } }],
  });
  const { presentId, ends } = endsByRotation(secrets, graceSeconds, now);
  const past = await pastOnEveryNode(em, now);
  for (const secret of secrets) {
    const end = ends.get(secret.id)!;
    secret.endedAt = end <= now ? past : end;
  }
  apiKey.prefix = made.prefix;
  apiKey.imported = false;
  apiKey.rotatedAt = now;
  touch(apiKey, now);
  // Write the end of the old secret first: a unique index allows one current secret for each key.
  await em.flush();
  const secret = addSecret(em, apiKey.id, made, now);
  await em.flush();
  record({
    type: 'api_key.rotated',
    data: {
      secret_id: secret.id,
      previous_secret_id: presentId,
      prefix: made.prefix,
      ends: secrets.map(({ id, endedAt }) => ({ secret_id: id, ends_at: endedAt!.toISOString() })),
      ...(graceSeconds > 0 && { previous_secret_ends_at: ends.get(presentId)!.toISOString() }),
    },
  });
}

/**
 * A node's estimate of the database's time may be ahead, by one round trip, and never lags. An end at this node's time
 * could therefore lie in the future of another node, which would go on accepting the secret. The beginning of the
 * transaction, by the database's own clock, is past on every node.
 */
async function pastOnEveryNode(em: EntityManager, now: Date): Promise<Date> {
  const rows = await em.execute<{ ms: number }[]>('SELECT extract(epoch FROM now())::float8 * 1000 AS ms');
  return new Date(Math.min(now.getTime(), Math.floor(rows[0]!.ms)));
}

/** Writes the changed fields of the patch to the row. */
function assign(em: EntityManager, apiKey: ApiKey, patch: ApiKeyPatch, changes: FieldChanges): void {
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
