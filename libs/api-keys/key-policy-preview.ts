import { Controller, Inject } from '@nestjs/common';
import type pg from 'pg';
import type { Environment } from '#libs/contract/api-key-schemas.js';
import { fromUuid, isId, toUuid } from '#libs/contract/ids.js';
import { previewKeyPolicy, type KeyPolicy } from '#libs/contract/key-policy.js';
import { breachesOf, changedPolicy, UNUSED_NOTICE_DAYS } from '#libs/contract/key-policy-rules.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import { Authorized, onlyIn, type AuthorityOf } from '#libs/organizations/authority.js';
import { Clock } from '#libs/platform/clock.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { pageOf, pageRequest } from '#libs/platform/pages.js';
import { conditionsOf, instant, KEYS_WITH_USAGE } from './api-key-filter.js';
import { searchWithin } from './api-key-rights.js';
import { DAY_MS, statusCondition, statusOf } from './key-lifecycle.js';
import { breaks, disablesAt } from './key-policy-conditions.js';
import { KeySearches } from './key-searches.js';

interface PreviewedKey {
  readonly id: string;
  readonly name: string;
  readonly project_id: string | null;
  readonly environment: Environment;
  readonly allowed_ips: string[];
  readonly created_at: Date;
  readonly expires_at: Date | null;
  readonly disabled_at: Date | null;
}

interface Counts {
  readonly total: number;
  readonly unused: number;
}

/** Tells which keys would break a changed key policy. */
@Controller()
export class KeyPolicyPreview {
  constructor(
    private readonly clock: Clock,
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly searches: KeySearches,
  ) {}

  @Implements(previewKeyPolicy)
  async preview(
    @Input() { body }: RouteInput<typeof previewKeyPolicy>,
    @Authorized() authority: AuthorityOf<typeof previewKeyPolicy>,
  ): Promise<RouteOutput<typeof previewKeyPolicy>> {
    const { limit, cursor, ...patch } = body;
    const page = pageRequest({ limit, cursor }, (text) => isId('key', text));
    const now = this.clock.now();
    const { rows: organizations } = await this.pool.query<{ key_policy: KeyPolicy }>(
      'SELECT key_policy FROM organization WHERE id = $1',
      [toUuid(authority.organizationId)],
    );
    const policy = changedPolicy(organizations[0]!.key_policy, patch, now);
    const values: unknown[] = [];
    const bind = (value: unknown) => `$${values.push(value)}`;
    const wanted = `${bind(JSON.stringify(policy))}::jsonb`;
    const statuses = ['active', 'disabled'] as const;
    const inAWeek = instant(new Date(now.getTime() + UNUSED_NOTICE_DAYS * DAY_MS));
    const within = searchWithin(onlyIn(authority));
    const conditions = conditionsOf(within, { statuses }, now, bind);
    // One statement, so that the page and the counts belong to the same instant.
    const { rows } = await this.searches.query<Counts & (PreviewedKey | { readonly id: null })>(
      within,
      `WITH found AS (
         SELECT k.id, k.name, k.project_id, k.environment, k.allowed_ips, k.created_at, k.expires_at, k.disabled_at,
                ${breaks(wanted)} AS breaks,
                ${statusCondition('active', instant(now))} AND ${disablesAt(wanted)} <= ${inAWeek} AS is_unused
         FROM ${KEYS_WITH_USAGE} WHERE ${conditions}
       ), counted AS (
         SELECT count(*) FILTER (WHERE breaks)::int AS total, count(*) FILTER (WHERE is_unused)::int AS unused FROM found
       )
       SELECT counted.*, page.* FROM counted LEFT JOIN LATERAL (
         SELECT * FROM found WHERE breaks ${page.after ? `AND id > ${bind(toUuid(page.after))}::uuid` : ''}
         ORDER BY id LIMIT ${bind(limit + 1)}
       ) AS page ON true ORDER BY page.id`,
      values,
    );
    const { total, unused } = rows[0]!;
    // Without a key on the page, there is one row for the counts.
    const keys = rows.flatMap((row) => (row.id === null ? [] : [row]));
    const { items, nextCursor } = pageOf(keys, page, ({ id }) => fromUuid('key', id));
    return { policy, data: items.map((key) => present(policy, key, now)), total, unused, next_cursor: nextCursor };
  }
}

function present(policy: KeyPolicy, key: PreviewedKey, now: Date) {
  const breaches = breachesOf(policy, {
    createdAt: key.created_at,
    expiresAt: key.expires_at,
    environment: key.environment,
    allowedIps: key.allowed_ips,
  });
  return {
    id: fromUuid('key', key.id),
    name: key.name,
    project_id: key.project_id && fromUuid('proj', key.project_id),
    status: statusOf({ expiresAt: key.expires_at, disabledAt: key.disabled_at }, now),
    policy_breaches: breaches.map(({ rule }) => rule),
    reasons: breaches.map(({ message }) => message),
  };
}
