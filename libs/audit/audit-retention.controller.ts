import { Controller } from '@nestjs/common';
import { Caller, type CallerOf } from '#libs/auth/principal.js';
import { getAuditRetention, liftLegalHold, placeLegalHold, setAuditRetention } from '#libs/contract/audit-retention.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Authorized, type AuthorityOf } from '#libs/organizations/authority.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { AuditRetentionService } from './audit-retention.service.js';

@Controller()
export class AuditRetentionController {
  constructor(private readonly retention: AuditRetentionService) {}

  @Implements(getAuditRetention)
  async get(
    @Authorized() { organizationId }: AuthorityOf<typeof getAuditRetention>,
  ): Promise<RouteOutput<typeof getAuditRetention>> {
    return present(await this.retention.get(organizationId));
  }

  @Implements(setAuditRetention)
  async set(
    @Input() { params, body }: RouteInput<typeof setAuditRetention>,
    @Caller() caller: CallerOf<typeof setAuditRetention>,
  ): Promise<RouteOutput<typeof setAuditRetention>> {
    return present(await this.retention.setDays(caller, params.id, body.days));
  }

  @Implements(placeLegalHold)
  async placeHold(
    @Input() { params, body }: RouteInput<typeof placeLegalHold>,
    @Caller() caller: CallerOf<typeof placeLegalHold>,
  ): Promise<RouteOutput<typeof placeLegalHold>> {
    return present(await this.retention.placeHold(caller, params.id, body.reason));
  }

  @Implements(liftLegalHold)
  liftHold(
    @Input() { params }: RouteInput<typeof liftLegalHold>,
    @Caller() caller: CallerOf<typeof liftLegalHold>,
  ): Promise<void> {
    return this.retention.liftHold(caller, params.id);
  }
}

function present(retention: Awaited<ReturnType<AuditRetentionService['get']>>): RouteOutput<typeof getAuditRetention> {
  const { days, defaultDays, holdReason, heldSince, minimum, prunedAt } = retention;
  return {
    days,
    default_days: defaultDays,
    hold:
      holdReason !== null && heldSince !== null
        ? { reason: holdReason, since: new Date(heldSince).toISOString() }
        : null,
    pruned_below: minimum > 0 ? minimum : null,
    pruned_at: prunedAt === null ? null : new Date(prunedAt).toISOString(),
  };
}
