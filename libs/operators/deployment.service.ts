import { LockMode } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { recordOperatorAction } from '#libs/auth/operator-action.js';
import { turnOf, turnToTakeAway, type OperatorPrincipal } from '#libs/auth/principal.js';
import { SessionsService } from '#libs/auth/sessions.service.js';
import type { DomainEventType } from '#libs/contract/events.js';
import { isId } from '#libs/contract/ids.js';
import { withNotice } from '#libs/contract/key-policy-rules.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { noSuchOrganization } from '#libs/organizations/missing.js';
import { OperatorReads } from '#libs/organizations/operator-reads.js';
import { Organization } from '#libs/organizations/organization.entity.js';
import { Clock } from '#libs/platform/clock.js';
import { Changes, type Change, type ChangeTurn } from '#libs/admission/changes.js';
import type { NewEvent } from '#libs/outbox/event.js';
import { pageOf, type PageRequest } from '#libs/platform/pages.js';
import { containing } from '#libs/platform/patterns.js';
import { changesOf, touch } from '#libs/platform/versions.js';

/** Operators' actions on organizations. The audit log of the organization records each change. */
@Injectable()
export class DeploymentService {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly changes: Changes,
    private readonly sessions: SessionsService,
    private readonly reads: OperatorReads,
  ) {}

  /** Oldest first. Recorded only in the deployment's audit log: a list reads no organization in particular. */
  async listOrganizations(
    operator: OperatorPrincipal,
    query: { status: 'active' | 'suspended' | undefined; search: string | undefined },
    page: PageRequest,
  ) {
    await this.reads.record(operator, DEPLOYMENT_ID);
    const em = this.em.fork();
    const { status, search } = query;
    const wanted = {
      $not: { id: DEPLOYMENT_ID },
      ...(status && { suspendedAt: status === 'suspended' ? { $ne: null } : null }),
      ...(search && (isId('org', search) ? { id: search } : { name: { $ilike: containing(search) } })),
    };
    const found = await em.find(
      Organization,
      { $and: [wanted, page.after ? { id: { $gt: page.after } } : {}] },
      { orderBy: { id: 'asc' }, limit: page.limit + 1 },
    );
    const { items, nextCursor } = pageOf(found, page, (organization) => organization.id);
    return { data: items, total: await em.count(Organization, wanted), nextCursor };
  }

  /** Does nothing if the organization is already suspended. */
  suspend(operator: OperatorPrincipal, id: string, reason: string | undefined): Promise<Organization> {
    return this.#change(operator, id, turnToTakeAway(operator), (organization, now, record) => {
      if (organization.suspendedAt) return;
      organization.suspendedAt = now;
      touch(organization, now);
      record({ type: 'organization.suspended', data: { ...(reason && { reason }) } });
    });
  }

  resume(operator: OperatorPrincipal, id: string): Promise<Organization> {
    return this.#change(operator, id, turnOf(operator), (organization, now, record) => {
      if (!organization.suspendedAt) return;
      organization.suspendedAt = null;
      // Its keys could not be used while it was suspended.
      const policy = withNotice(organization.keyPolicy, now);
      const changes = changesOf(organization.keyPolicy, policy);
      organization.keyPolicy = policy;
      touch(organization, now);
      record({ type: 'organization.resumed', data: Object.keys(changes).length > 0 ? { changes } : {} });
    });
  }

  setScopeCeiling(operator: OperatorPrincipal, id: string, ceiling: string[] | null): Promise<Organization> {
    return this.#change(operator, id, turnToTakeAway(operator), (organization, now, record) => {
      const changes = changesOf({ scope_ceiling: organization.scopeCeiling ?? null }, { scope_ceiling: ceiling });
      if (Object.keys(changes).length === 0) return;
      organization.scopeCeiling = ceiling;
      touch(organization, now);
      record({ type: 'organization.updated', data: { changes } });
    });
  }

  /** Invalidates all earlier decisions about the organization's keys. */
  async #change(
    operator: OperatorPrincipal,
    id: string,
    turn: ChangeTurn,
    work: (organization: Organization, now: Date, record: Record) => void,
  ): Promise<Organization> {
    if (id === DEPLOYMENT_ID || (await this.em.fork().count(Organization, { id })) === 0) throw noSuchOrganization();
    const changed = { kind: 'organization', id } as const;
    const change = async ({ em, record }: Change) => {
      await this.sessions.requireOperatorNow(em, operator);
      const organization = await em.findOneOrFail(Organization, id, { lockMode: LockMode.PESSIMISTIC_WRITE });
      const now = this.clock.now();
      work(organization, now, (event) =>
        recordOperatorAction(record, operator, { ...event, subject: id, organization, at: now }),
      );
      return organization;
    };
    return this.changes.alter(turn, id, changed, change, DEPLOYMENT_ID);
  }
}

type OrganizationEventType = Extract<DomainEventType, `organization.${string}`>;
type Record = <T extends OrganizationEventType>(event: Pick<NewEvent<T>, 'type' | 'data'>) => void;
