import { Controller } from '@nestjs/common';
import { Caller, type Principal } from '#libs/auth/principal.js';
import { listAuditEvents } from '#libs/contract/audit.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { pageRequest } from '#libs/platform/pages.js';
import { AuditService } from './audit.service.js';

@Controller()
export class AuditController {
  constructor(private readonly audit: AuditService) {}

  @Implements(listAuditEvents)
  async list(
    @Input() { query }: RouteInput<typeof listAuditEvents>,
    @Caller() caller: Principal,
  ): Promise<RouteOutput<typeof listAuditEvents>> {
    const { organization_id: organizationId, type, key_id: keyId, from, to, order } = query;
    const page = pageRequest(query, (text) => /^\d{1,15}$/.test(text));
    const { data, nextCursor } = await this.audit.list(caller, { organizationId, type, keyId, from, to, order }, page);
    return { data, next_cursor: nextCursor };
  }
}
