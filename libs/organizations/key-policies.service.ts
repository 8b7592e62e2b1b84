import { LockMode } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { actorOf, turnToTakeAway } from '#libs/auth/principal.js';
import type { updateKeyPolicy } from '#libs/contract/key-policy.js';
import { changedPolicy } from '#libs/contract/key-policy-rules.js';
import type { RouteInput } from '#libs/contract/route.js';
import { Clock } from '#libs/platform/clock.js';
import { Changes } from '#libs/admission/changes.js';
import { changesOf, refuseOtherVersion, touch } from '#libs/platform/versions.js';
import { Authorities } from './authorities.service.js';
import type { Authority } from './authority.js';
import { Organization } from './organization.entity.js';

/** What every key of an organization must keep to. `libs/api-keys` enforces it. */
@Injectable()
export class KeyPolicies {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly changes: Changes,
    private readonly authorities: Authorities,
  ) {}

  get({ organizationId }: Authority<'organizations:read'>): Promise<Organization> {
    return this.em.fork().findOneOrFail(Organization, organizationId);
  }

  /**
   * A change of what is valid for all keys of the organization, so it has the lock of the shard alone: each key keeps to
   * the policy that was valid at its commit.
   */
  async update(
    authority: Authority<'organizations:write'>,
    patch: RouteInput<typeof updateKeyPolicy>['body'],
    ifMatch: string | undefined,
  ): Promise<Organization> {
    const { caller, organizationId: id } = authority;
    const changed = { kind: 'organization', id } as const;
    return this.changes.alter(turnToTakeAway(caller), id, changed, async ({ em, record }) => {
      await this.authorities.requireNow(em, authority);
      const organization = await em.findOneOrFail(Organization, id, { lockMode: LockMode.PESSIMISTIC_WRITE });
      refuseOtherVersion(organization, ifMatch);
      const now = this.clock.now();
      const policy = changedPolicy(organization.keyPolicy, patch, now);
      const changes = changesOf(organization.keyPolicy, policy);
      if (Object.keys(changes).length === 0) return organization;
      organization.keyPolicy = policy;
      touch(organization, now);
      record({
        type: 'organization.key_policy_changed',
        subject: id,
        actor: actorOf(caller),
        at: now,
        data: { changes },
      });
      return organization;
    });
  }
}
