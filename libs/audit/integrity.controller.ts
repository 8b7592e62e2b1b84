import { Controller } from '@nestjs/common';
import { auditIntegrity } from '#libs/contract/audit-integrity.js';
import type { RouteOutput } from '#libs/contract/route.js';
import { Authorized, type AuthorityOf } from '#libs/organizations/authority.js';
import { Implements } from '#libs/platform/http/implements.js';
import { Integrity } from './integrity.js';

@Controller()
export class IntegrityController {
  constructor(private readonly integrity: Integrity) {}

  @Implements(auditIntegrity)
  of(
    @Authorized() { organizationId }: AuthorityOf<typeof auditIntegrity>,
  ): Promise<RouteOutput<typeof auditIntegrity>> {
    return this.integrity.of(organizationId);
  }
}
