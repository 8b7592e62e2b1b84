import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import type { Usage, UsageGrouping, UsageInterval, UsageSurface } from '#libs/contract/usage.js';
import type { Authority } from '#libs/organizations/authority.js';
import { noSuchApiKey } from '#libs/organizations/missing.js';
import { Clock } from '#libs/platform/clock.js';
import { usagePeriod } from '#libs/usage/usage-period.js';
import { UsageService } from '#libs/usage/usage.service.js';
import { ApiKey } from './api-key.entity.js';

export interface UsageReportQuery {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly surface: UsageSurface;
  readonly interval: UsageInterval;
  readonly timeZone: string;
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
    private readonly usage: UsageService,
  ) {}

  async ofApiKey(
    { organizationId, rights }: Authority<'usage:read'>,
    id: string,
    query: UsageReportQuery,
  ): Promise<Usage> {
    const period = usagePeriod(query, this.clock.now());
    const { projectId } = rights;
    const wanted = { id, organizationId, deletedAt: null, ...(projectId && { projectId }) };
    if ((await this.em.fork().count(ApiKey, wanted)) === 0) throw noSuchApiKey();
    return this.usage.series({ ...query, organizationId, apiKeyIds: [id], withinProject: projectId, period });
  }

  async ofOrganization({ organizationId, rights }: Authority<'usage:read'>, query: UsageReportQuery): Promise<Usage> {
    const period = usagePeriod(query, this.clock.now());
    return this.usage.series({ ...query, organizationId, withinProject: rights.projectId, period });
  }
}
