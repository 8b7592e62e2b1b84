import { LockMode } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { Clock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';
import { Invitation, openAt } from './invitation.entity.js';
import { Membership } from './membership.entity.js';
import { Organization } from './organization.entity.js';
import { Project } from './project.entity.js';

/**
 * When a member is removed, each of the member's open invitations ends with its own event. This number bounds that
 * change.
 */
const MAX_OPEN_INVITATIONS = 500;

/**
 * Limits on objects that the service reads or locks all at once. Each check runs within the change that adds an object,
 * and first locks the row of the organization or user: of two changes that add the last object at once, the second
 * counts the object of the first.
 */
@Injectable()
export class OrganizationLimits {
  constructor(
    private readonly config: Config,
    private readonly clock: Clock,
  ) {}

  /** @throws DomainError `limit_reached` */
  async refuseAnotherProject(em: EntityManager, organizationId: string): Promise<void> {
    await lock(em, organizationId);
    const { MAX_PROJECTS_PER_ORGANIZATION: most } = this.config.settings;
    if ((await em.count(Project, { organizationId, deletedAt: null })) < most) return;
    throw new DomainError(
      'limit_reached',
      `The organization has ${counted(most, 'project')}, and may not have more. Delete one that is no longer needed; ` +
        'the people who run this deployment set the limit (MAX_PROJECTS_PER_ORGANIZATION).',
    );
  }

  /** An invitation counts as a member, because it may become one. @throws DomainError `limit_reached` */
  async refuseAnotherInvitation(em: EntityManager, organizationId: string): Promise<void> {
    await lock(em, organizationId);
    const { MAX_MEMBERS_PER_ORGANIZATION: most } = this.config.settings;
    const open = { organizationId, ...openAt(this.clock.now()) };
    const invitations = await em.count(Invitation, open);
    if (invitations >= MAX_OPEN_INVITATIONS) {
      throw new DomainError(
        'limit_reached',
        `The organization has ${counted(invitations, 'open invitation')}, and may not have more. Withdraw some, or wait ` +
          'until they are accepted or have expired.',
      );
    }
    if (invitations + (await em.count(Membership, { organizationId })) < most) return;
    throw new DomainError(
      'limit_reached',
      `The organization has ${counted(most, 'member')}, open invitations included, and may not have more. Remove a ` +
        'member or withdraw an invitation; the people who run this deployment set the limit (MAX_MEMBERS_PER_ORGANIZATION).',
    );
  }

  /**
   * Within a change that has locked the user.
   * @throws DomainError `limit_reached`
   */
  async refuseAnotherOrganization(em: EntityManager, userId: string): Promise<void> {
    const { MAX_ORGANIZATIONS_PER_USER: most } = this.config.settings;
    if ((await em.count(Membership, { userId })) < most) return;
    throw new DomainError(
      'limit_reached',
      `You are a member of ${counted(most, 'organization')}, and cannot join more. Leave one; the people who run ` +
        'this deployment set the limit (MAX_ORGANIZATIONS_PER_USER).',
    );
  }
}

async function lock(em: EntityManager, organizationId: string): Promise<void> {
  await em.findOneOrFail(Organization, organizationId, { lockMode: LockMode.PESSIMISTIC_WRITE });
}

function counted(count: number, what: string): string {
  return `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`;
}
