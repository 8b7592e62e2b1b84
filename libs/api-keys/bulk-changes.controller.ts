import { Controller } from '@nestjs/common';
import { changeInBulk, countKeysToReview, previewBulkChange } from '#libs/contract/bulk-changes.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Authorized, type AuthorityOf } from '#libs/organizations/authority.js';
import { Clock } from '#libs/platform/clock.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { BulkChanges } from './bulk-changes.service.js';
import { statusOf } from './key-lifecycle.js';
import { KeysToReview } from './keys-to-review.js';

/** Changes of many keys at once, and the counts of keys to review. */
@Controller()
export class BulkChangesController {
  constructor(
    private readonly clock: Clock,
    private readonly changes: BulkChanges,
    private readonly toReview: KeysToReview,
  ) {}

  @Implements(previewBulkChange)
  async preview(
    @Input() { body }: RouteInput<typeof previewBulkChange>,
    @Authorized() authority: AuthorityOf<typeof previewBulkChange>,
  ): Promise<RouteOutput<typeof previewBulkChange>> {
    const preview = await this.changes.preview(authority, body.action, body);
    return {
      organization_id: authority.organizationId,
      action: body.action,
      count: preview.ids.length,
      remaining: preview.remaining,
      unchanged: preview.unchanged,
      ids: [...preview.ids],
      used_in_last_day: preview.usedInLastDay,
      data: preview.keys.map(({ apiKey, usesInLastDay, lastUsedAt }) => ({
        id: apiKey.id,
        name: apiKey.name,
        project_id: apiKey.projectId ?? null,
        status: statusOf(apiKey, this.clock.now()),
        uses_in_last_day: usesInLastDay,
        last_used_at: lastUsedAt?.toISOString() ?? null,
      })),
      confirmation: preview.confirmed?.confirmation ?? null,
      expires_at: preview.confirmed?.expiresAt.toISOString() ?? null,
    };
  }

  @Implements(changeInBulk)
  change(
    @Input() { body }: RouteInput<typeof changeInBulk>,
    @Authorized() authority: AuthorityOf<typeof changeInBulk>,
  ): Promise<RouteOutput<typeof changeInBulk>> {
    return this.changes.change(authority, body.action, body, (ids) => ({
      organization_id: authority.organizationId,
      action: body.action,
      count: ids.length,
      ids: [...ids],
    }));
  }

  @Implements(countKeysToReview)
  countToReview(
    @Input() { query }: RouteInput<typeof countKeysToReview>,
    @Authorized() authority: AuthorityOf<typeof countKeysToReview>,
  ): Promise<RouteOutput<typeof countKeysToReview>> {
    return this.toReview.count(authority, query.project_id);
  }
}
