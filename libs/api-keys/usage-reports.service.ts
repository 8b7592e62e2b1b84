import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth/principal.js';
import type { Usage, UsageGrouping, UsageInterval, UsageSurface } from '#libs/contract/usage.js';
import { asMissing, Authorities } from '#libs/organizations/authorities.service.js';
import { Clock } from '#libs/platform/clock.js';
import { usagePeriod } from '#libs/usage/usage-period.js';
import { UsageService } from '#libs/usage/usage.service.js';
import { ApiKey } from './api-key.entity.js';
import { noSuchKey } from './api-keys.service.js';

export interface UsageReportQuery {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly surface: UsageSurface;
  readonly interval: UsageInterval;
  readonly groupBy: UsageGrouping;
  readonly projectId?: string | undefined;
  readonly apiKeyIds?: readonly string[] | undefined;
}

/** Usage reports for callers with `usage:read`. It covers every key of the organization, even for a developer. */
@Injectable()
export class UsageReports {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly authorities: Authorities,
    private readonly usage: UsageService,
  ) {}

  async ofApiKey(principal: Principal, id: string, query: UsageReportQuery): Promise<Usage> {
    const period = usagePeriod(query, this.clock.now());
    const em = this.em.fork();
    const apiKey = await em.findOne(ApiKey, { id, deletedAt: null });
    if (!apiKey) throw noSuchKey();
    const { organizationId } = apiKey;
    const own = await asMissing(noSuchKey, () =>
      this.authorities.require(em, principal, 'usage:read', organizationId, 'project'),
    );
    if (own.projectId && apiKey.projectId !== own.projectId) throw noSuchKey();
    return this.usage.series({ ...query, organizationId, apiKeyIds: [id], withinProject: own.projectId, period });
  }

  async ofOrganization(principal: Principal, organizationId: string, query: UsageReportQuery): Promise<Usage> {
    const period = usagePeriod(query, this.clock.now());
    const em = this.em.fork();
    const own = await this.authorities.require(em, principal, 'usage:read', organizationId, 'project');
    return this.usage.series({ ...query, organizationId, withinProject: own.projectId, period });
  }
}
