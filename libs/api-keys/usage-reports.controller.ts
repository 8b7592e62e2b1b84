import { Controller } from '@nestjs/common';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { getApiKeyUsage, getOrganizationUsage } from '#libs/contract/usage.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { Authorized, type AuthorityOf } from '#libs/organizations/authority.js';
import { UsageReports } from './usage-reports.service.js';

@Controller()
export class UsageReportsController {
  constructor(private readonly reports: UsageReports) {}

  @Implements(getApiKeyUsage)
  ofApiKey(
    @Input() { params, query }: RouteInput<typeof getApiKeyUsage>,
    @Authorized() authority: AuthorityOf<typeof getApiKeyUsage>,
  ): Promise<RouteOutput<typeof getApiKeyUsage>> {
    const { from, to, surface, interval, time_zone: timeZone, group_by: groupBy } = query;
    return this.reports.ofApiKey(authority, params.id, { from, to, surface, interval, timeZone, groupBy });
  }

  @Implements(getOrganizationUsage)
  ofOrganization(
    @Input() { query }: RouteInput<typeof getOrganizationUsage>,
    @Authorized() authority: AuthorityOf<typeof getOrganizationUsage>,
  ): Promise<RouteOutput<typeof getOrganizationUsage>> {
    const { from, to, surface, interval, time_zone: timeZone, group_by: groupBy } = query;
    const { project_id: projectId, api_key_id: apiKeyIds } = query;
    const wanted = { from, to, surface, interval, timeZone, groupBy, projectId, apiKeyIds };
    return this.reports.ofOrganization(authority, wanted);
  }
}
