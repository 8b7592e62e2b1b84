import { setImmediate } from 'node:timers/promises';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { Changes } from '#libs/admission/changes.js';
import { actorOf, turnOf, turnToTakeAway } from '#libs/auth/principal.js';
import { MOST_DESCRIBED, type BulkAction } from '#libs/contract/bulk-changes.js';
import { Authorities } from '#libs/organizations/authorities.service.js';
import { onlyIn, type Authority } from '#libs/organizations/authority.js';
import type { Rights } from '#libs/organizations/rights.js';
import { Clock } from '#libs/platform/clock.js';
import { DomainError } from '#libs/platform/errors.js';
import { respond } from '#libs/platform/idempotency.js';
import { UsageService } from '#libs/usage/usage.service.js';
import { refuseBeyond, rightsOf, searchWithin } from './api-key-rights.js';
import { ApiKey } from './api-key.entity.js';
import { aboutProject } from './api-key.js';
import { BulkConfirmations, hashOfKeys } from './bulk-confirmation.js';
import { lockKeys, missingKeys, selectKeys, writeKeys, type SelectedKeys, type Selection } from './bulk-selection.js';
import { DAY_MS, operations } from './key-lifecycle.js';
import { policyCheck } from './key-policy.js';
import { KeySearches } from './key-searches.js';

type MayManage = Authority<'api-keys:manage'>;

/** A key that a bulk change would change. */
export interface PreviewedKey {
  readonly apiKey: Pick<ApiKey, 'id' | 'name' | 'projectId' | 'expiresAt' | 'disabledAt' | 'revokedAt'>;
  /** Null if the key only verified other keys, which is not counted by the hour. */
  readonly usesInLastDay: number | null;
  readonly lastUsedAt: Date | null;
}

type Uses = Pick<PreviewedKey, 'usesInLastDay'>;

export interface BulkPreview extends SelectedKeys {
  readonly usedInLastDay: number;
  readonly keys: readonly PreviewedKey[];
  readonly confirmed: { readonly confirmation: string; readonly expiresAt: Date } | null;
}

/**
 * Revokes, disables or enables up to 1,000 keys in one transaction, which gives their shard one new state: a change of
 * the organization, so that every node drops all keys of it from its cache. Unlike a mass revocation, whose keys the
 * worker updates later, all rows and all events are written at once. The bound keeps that short.
 */
@Injectable()
export class BulkChanges {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly changes: Changes,
    private readonly authorities: Authorities,
    private readonly confirmations: BulkConfirmations,
    private readonly usage: UsageService,
    private readonly searches: KeySearches,
  ) {}

  async preview(authority: MayManage, action: BulkAction, selection: Selection): Promise<BulkPreview> {
    const selected = await this.#select(authority, action, selection);
    const { ids } = selected;
    const em = this.em.fork();
    if (action === 'enable') await refuseStronger(em, authority.rights, ids);
    const since = this.clock.now().getTime() - DAY_MS;
    const totals = await this.usage.ofApiKeys(em, ids);
    const uses = await this.usage.ofLastDay(ids);
    const described = ids
      .map((id) => {
        const lastUsedAt = totals.get(id)?.lastUsedAt ?? null;
        return { id, usesInLastDay: uses.get(id) ?? (timeOf(lastUsedAt) < since ? 0 : null), lastUsedAt };
      })
      .toSorted((a, b) => compareUses(a, b) || timeOf(b.lastUsedAt) - timeOf(a.lastUsedAt));
    const shown = described.slice(0, MOST_DESCRIBED);
    const fields = ['id', 'name', 'projectId', 'expiresAt', 'disabledAt', 'revokedAt'] as const;
    const rows = await em.find(ApiKey, { id: { $in: shown.map(({ id }) => id) } }, { fields });
    const byId = new Map(rows.map((apiKey) => [apiKey.id, apiKey]));
    return {
      ...selected,
      usedInLastDay: described.filter(({ usesInLastDay }) => usesInLastDay !== 0).length,
      keys: shown.map(({ id, ...usage }) => ({ apiKey: byId.get(id)!, ...usage })),
      confirmed: ids.length > 0 ? this.confirmations.issue(authority, action, ids) : null,
    };
  }

  /** @throws DomainError `preview_outdated` if the keys to change are no longer those of the confirmed preview */
  async change<R extends object>(
    authority: MayManage,
    action: BulkAction,
    selection: Selection & { readonly confirmation: string },
    present: (ids: readonly string[]) => R,
  ): Promise<R> {
    const { caller, organizationId } = authority;
    const confirmed = this.confirmations.read(authority, action, selection.confirmation);
    // Before any lock: a filter may have to look at many keys.
    const { ids } = await this.#select(authority, action, selection);
    if (hashOfKeys(ids) !== confirmed) throw outdated();
    const turn = action === 'enable' ? turnOf(caller) : turnToTakeAway(caller);
    const changed = { kind: 'organization', id: organizationId } as const;
    return this.changes.alter(turn, organizationId, changed, async ({ em, record }) => {
      const rights = await this.authorities.requireNow(em, authority);
      const now = this.clock.now();
      const within = searchWithin(onlyIn({ ...authority, rights }));
      const keys = await lockKeys(em, within, action, selection, ids, now);
      if (hashOfKeys(keys.map(({ id }) => id)) !== confirmed) throw outdated();
      if (action === 'enable') await refuseStronger(em, rights, ids);
      await writeKeys(em, action, ids, now);
      const actor = actorOf(caller);
      const { event: type } = operations[action];
      for (const { id, name, project_id: projectId } of keys) {
        const data = { ...aboutProject({ projectId }), ...(type === 'api_key.revoked' && { deleted: false }) };
        record({ type, data, subject: { id, name }, actor, at: now });
      }
      return respond(em, caller.context, present(ids));
    });
  }

  async #select(authority: MayManage, action: BulkAction, selection: Selection): Promise<SelectedKeys> {
    const within = searchWithin(onlyIn(authority));
    if (selection.ids) {
      const [missing] = await missingKeys(this.searches, within, selection.ids);
      if (missing) throw new DomainError('not_found', `There is no API key ${missing} in the organization`);
    }
    return selectKeys(this.searches, within, action, selection, this.clock.now());
  }
}

/** So many keys are compared in a few milliseconds. */
const COMPARED_AT_ONCE = 20;

/** Enabling a key takes the same authority as creating it, and the key must keep to the key policy. */
async function refuseStronger(em: EntityManager, own: Rights, ids: readonly string[]): Promise<void> {
  const fields = [
    'id',
    'scopes',
    'environment',
    'expiresAt',
    'projectId',
    'allowedIps',
    'rateLimits',
    'ownKeysOnly',
    'accountableUserId',
    'createdAt',
    'keyPolicy',
  ] as const;
  const apiKeys = await em.find(ApiKey, { id: { $in: [...ids] } }, { fields, disableIdentityMap: true });
  const [first] = apiKeys;
  if (!first) return;
  // All keys are of one organization, and have the same policy.
  const refuseBreaches = policyCheck(first.keyPolicy);
  for (const [index, apiKey] of apiKeys.entries()) {
    // Other requests must not wait while up to 1,000 keys are compared, each with 100 scopes and 100 networks.
    if (index % COMPARED_AT_ONCE === COMPARED_AT_ONCE - 1) await setImmediate();
    refuseBeyond(own, rightsOf(apiKey));
    refuseBreaches(apiKey);
  }
}

function outdated(): DomainError {
  return new DomainError('preview_outdated', 'The selected keys have changed since the preview: request another one');
}

/** The most used first. Those of which the number is not known are before them. */
function compareUses({ usesInLastDay: a }: Uses, { usesInLastDay: b }: Uses): number {
  return (b ?? Number.MAX_SAFE_INTEGER) - (a ?? Number.MAX_SAFE_INTEGER);
}

function timeOf(at: Date | null): number {
  return at?.getTime() ?? 0;
}
