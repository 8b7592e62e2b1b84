import { LockMode } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { recordOperatorAction } from '#libs/auth/operator-action.js';
import { turnToTakeAway, type OperatorPrincipal } from '#libs/auth/principal.js';
import { SessionsService } from '#libs/auth/sessions.service.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { noSuchApiKey } from '#libs/organizations/missing.js';
import { OperatorReads } from '#libs/organizations/operator-reads.js';
import { Organization } from '#libs/organizations/organization.entity.js';
import { Clock } from '#libs/platform/clock.js';
import { Changes, type Change } from '#libs/admission/changes.js';
import { UsageService } from '#libs/usage/usage.service.js';
import { enter, requireTransition } from './api-key-transition.js';
import { withUsage, type ApiKeyView } from './api-key-view.js';
import { ApiKey } from './api-key.entity.js';
import { aboutProject } from './api-key.js';
import { notEnded, operations } from './key-lifecycle.js';

/** Keys of gateways and services that verify the keys of all organizations. */
@Injectable()
export class ServiceKeys {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly changes: Changes,
    private readonly sessions: SessionsService,
    private readonly operatorReads: OperatorReads,
    private readonly usage: UsageService,
  ) {}

  /**
   * The keys of all organizations that have `deployment:verify`. Operators can revoke them, because such a key could
   * otherwise outlive the access of its creator.
   */
  async list(operator: OperatorPrincipal): Promise<ApiKeyView[]> {
    await this.operatorReads.record(operator, DEPLOYMENT_ID);
    const em = this.em.fork();
    const found = await em.find(
      ApiKey,
      { scopes: { $contains: ['deployment:verify'] }, ...notEnded(this.clock.now()) },
      { orderBy: { id: 'asc' } },
    );
    return withUsage(this.usage, em, found);
  }

  async revoke(operator: OperatorPrincipal, id: string): Promise<ApiKeyView> {
    const isServiceKey = { id, scopes: { $contains: ['deployment:verify'] }, deletedAt: null };
    const found = await this.em.fork().findOne(ApiKey, isServiceKey);
    if (!found) throw noSuchApiKey();
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
              at: now,
              data: { ...aboutProject(apiKey), ...data },
            }),
        },
        operations.revoke.event,
        { deleted: false },
      );
      return (await withUsage(this.usage, em, [apiKey]))[0]!;
    };
    return this.changes.alter(turnToTakeAway(operator), organizationId, { kind: 'api_key', id }, revoke, DEPLOYMENT_ID);
  }
}
