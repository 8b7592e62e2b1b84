import { Injectable } from '@nestjs/common';
import { countKeysToReview, EXPIRING_DAYS, UNUSED_DAYS, UNUSED_SOON_DAYS } from '#libs/contract/bulk-changes.js';
import type { RouteOutput } from '#libs/contract/route.js';
import { onlyIn, type Authority } from '#libs/organizations/authority.js';
import { Clock } from '#libs/platform/clock.js';
import { conditionsOf, instant, KEYS_WITH_USAGE, NO_RATE_LIMIT, unusedSince } from './api-key-filter.js';
import { searchWithin } from './api-key-rights.js';
import { DAY_MS } from './key-lifecycle.js';
import { breaksOwnPolicy, DISABLES_AT } from './key-policy-conditions.js';
import { KeySearches } from './key-searches.js';

/** Bounds the statement, which reads the row of each key. */
const MOST_COUNTED = 20_000;

/** Counts the active keys to review. */
@Injectable()
export class KeysToReview {
  constructor(
    private readonly clock: Clock,
    private readonly searches: KeySearches,
  ) {}

  async count(
    authority: Authority<'api-keys:read'>,
    projectId: string | undefined,
  ): Promise<RouteOutput<typeof countKeysToReview>> {
    const now = this.clock.now();
    const inDays = (days: number) => instant(new Date(now.getTime() + days * DAY_MS));
    const within = searchWithin(onlyIn(authority));
    const values: unknown[] = [];
    const bind = (value: unknown) => `$${values.push(value)}`;
    const { rows } = await this.searches.query<RouteOutput<typeof countKeysToReview>>(
      within,
      `SELECT count(*) FILTER (WHERE never_expires)::int AS never_expires,
              count(*) FILTER (WHERE unused)::int AS unused,
              count(*) FILTER (WHERE no_rate_limit)::int AS no_rate_limit,
              count(*) FILTER (WHERE expiring)::int AS expiring,
              count(*) FILTER (WHERE breaks_policy)::int AS breaks_policy,
              count(*) FILTER (WHERE disabled_soon)::int AS disabled_soon,
              least(count(*), ${MOST_COUNTED})::int AS counted, count(*) <= ${MOST_COUNTED} AS complete
       FROM (
         SELECT k.expires_at IS NULL AS never_expires, ${unusedSince(inDays(-UNUSED_DAYS))} AS unused,
                ${NO_RATE_LIMIT} AS no_rate_limit, k.expires_at <= ${inDays(EXPIRING_DAYS)} AS expiring,
                ${breaksOwnPolicy(instant(now))} AS breaks_policy,
                ${DISABLES_AT} <= ${inDays(UNUSED_SOON_DAYS)} AS disabled_soon
         FROM ${KEYS_WITH_USAGE}
         WHERE ${conditionsOf(within, { projectId, statuses: ['active'] }, now, bind)}
         LIMIT ${MOST_COUNTED + 1}
       ) active`,
      values,
    );
    return rows[0]!;
  }
}
