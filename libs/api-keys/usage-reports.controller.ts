import { Controller } from '@nestjs/common';
import { Caller, type Principal } from '#libs/auth/principal.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { getApiKeyUsage, getOrganizationUsage } from '#libs/contract/usage.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { UsageReports } from './usage-reports.service.js';

@Controller()
export class UsageReportsController {
  constructor(private readonly reports: UsageReports) {}

  @Implements(getApiKeyUsage)
  ofApiKey(
    @Input() { params, query }: RouteInput<typeof getApiKeyUsage>,
    @Caller() caller: Principal,
  ): Promise<RouteOutput<typeof getApiKeyUsage>> {
    const { from, to, surface, interval, group_by: groupBy } = query;
    return this.reports.ofApiKey(caller, params.id, { from, to, surface, interval, groupBy });
  }

  @Implements(getOrganizationUsage)
  ofOrganization(
    @Input() { params, query }: RouteInput<typeof getOrganizationUsage>,
    @Caller() caller: Principal,
  ): Promise<RouteOutput<typeof getOrganizationUsage>> {
    const { from, to, surface, interval, group_by: groupBy, project_id: projectId, api_key_id: apiKeyIds } = query;
    const wanted = { from, to, surface, interval, groupBy, projectId, apiKeyIds };
    return this.reports.ofOrganization(caller, params.id, wanted);
  }
}
