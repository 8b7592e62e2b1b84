import { Controller } from '@nestjs/common';
import { Caller, type CallerOf } from '#libs/auth/principal.js';
import { getBalance, grantCredits, listGrants, removeBalance } from '#libs/contract/credits.js';
import { isId } from '#libs/contract/ids.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { pageRequest } from '#libs/platform/pages.js';
import { Authorized, type AuthorityOf } from './authority.js';
import type { CreditGrant } from './credit.entity.js';
import { CreditsService } from './credits.service.js';

@Controller()
export class CreditsController {
  constructor(private readonly credits: CreditsService) {}

  @Implements(getBalance)
  async get(@Authorized() authority: AuthorityOf<typeof getBalance>): Promise<RouteOutput<typeof getBalance>> {
    const credit = await this.credits.get(authority);
    return { metered: credit !== null, balance: credit?.balance ?? null, low_below: credit?.lowBelow ?? null };
  }

  @Implements(listGrants)
  async listGrants(
    @Input() { query }: RouteInput<typeof listGrants>,
    @Authorized() authority: AuthorityOf<typeof listGrants>,
  ): Promise<RouteOutput<typeof listGrants>> {
    const page = pageRequest(query, (text) => isId('grant', text));
    const { data, total, nextCursor } = await this.credits.listGrants(authority, page);
    return { data: data.map(present), total, next_cursor: nextCursor };
  }

  @Implements(grantCredits)
  grant(
    @Input() { params, body }: RouteInput<typeof grantCredits>,
    @Caller() caller: CallerOf<typeof grantCredits>,
  ): Promise<RouteOutput<typeof grantCredits>> {
    const input = { amount: body.amount, reason: body.reason ?? null, lowBelow: body.low_below };
    return this.credits.grant(caller, params.id, input, present);
  }

  @Implements(removeBalance)
  remove(
    @Input() { params }: RouteInput<typeof removeBalance>,
    @Caller() caller: CallerOf<typeof removeBalance>,
  ): Promise<void> {
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
