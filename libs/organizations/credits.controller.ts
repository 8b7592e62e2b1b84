import { Controller } from '@nestjs/common';
import { Caller, type Principal, type UserPrincipal } from '#libs/auth/principal.js';
import { getBalance, grantCredits, listGrants, removeBalance } from '#libs/contract/credits.js';
import { isId } from '#libs/contract/ids.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { presented } from '#libs/platform/idempotency.js';
import { pageRequest } from '#libs/platform/pages.js';
import type { CreditGrant } from './credit.entity.js';
import { CreditsService } from './credits.service.js';

@Controller()
export class CreditsController {
  constructor(private readonly credits: CreditsService) {}

  @Implements(getBalance)
  async get(
    @Input() { params }: RouteInput<typeof getBalance>,
    @Caller() caller: Principal,
  ): Promise<RouteOutput<typeof getBalance>> {
    const credit = await this.credits.get(caller, params.id);
    return { metered: credit !== null, balance: credit?.balance ?? null, low_below: credit?.lowBelow ?? null };
  }

  @Implements(listGrants)
  async listGrants(
    @Input() { params, query }: RouteInput<typeof listGrants>,
    @Caller() caller: Principal,
  ): Promise<RouteOutput<typeof listGrants>> {
    const page = pageRequest(query, (text) => isId('grant', text));
    const { data, total, nextCursor } = await this.credits.listGrants(caller, params.id, page);
    return { data: data.map(present), total, next_cursor: nextCursor };
  }

  @Implements(grantCredits)
  grant(
    @Input() { params, body }: RouteInput<typeof grantCredits>,
    @Caller() caller: UserPrincipal,
  ): Promise<RouteOutput<typeof grantCredits>> {
    const input = { amount: body.amount, reason: body.reason ?? null, lowBelow: body.low_below };
    return presented(present, () => this.credits.grant(caller, params.id, input));
  }

  @Implements(removeBalance)
  remove(@Input() { params }: RouteInput<typeof removeBalance>, @Caller() caller: UserPrincipal): Promise<void> {
    return this.credits.remove(caller, params.id);
  }
}

function present(grant: CreditGrant) {
  return {
    id: grant.id,
    amount: grant.amount,
    balance_after: grant.balanceAfter,
    reason: grant.reason ?? null,
    granted_by: grant.grantedBy ?? null,
    created_at: grant.createdAt.toISOString(),
  };
}
