import { isNotRevoked } from './revoked-at.js';

/* SQL for what `libs/contract/key-policy-rules.ts` decides. A property test compares the two. */

/**
 * SQL: whether a row `k` of `api_key` breaks a policy; null counts as false.
 * @param policy the SQL expression for the policy, as jsonb
 */
export function breaks(policy: string): string {
  // CASE: the elements of null are an error.
  return `(
    (k.expires_at IS NULL AND ((${policy}->>'require_expiry')::boolean OR ${policy}->>'max_lifetime_days' IS NOT NULL))
    OR k.expires_at > k.created_at + make_interval(days => (${policy}->>'max_lifetime_days')::int)
    OR CASE WHEN jsonb_typeof(${policy}->'environments') = 'array'
       THEN NOT ${policy}->'environments' @> to_jsonb(k.environment) END
    OR CASE WHEN jsonb_typeof(${policy}->'allowed_ips') = 'array'
       THEN k.allowed_ips = '{}' OR EXISTS (
         SELECT FROM unnest(k.allowed_ips) AS own (network)
         WHERE NOT own.network::inet <<= ANY (ARRAY(SELECT jsonb_array_elements_text(${policy}->'allowed_ips')::inet))
       ) END)`;
}

/** SQL: whether an active or disabled key `k` breaks the policy of its organization. */
export function breaksOwnPolicy(now: string): string {
  return `(${isNotRevoked('k')} AND (k.expires_at IS NULL OR k.expires_at > ${now})
    AND EXISTS (SELECT FROM organization o WHERE o.id = k.organization_id AND ${breaks('o.key_policy')}))`;
}

/**
 * SQL: when a key of `KEYS_WITH_USAGE` is disabled if it is not used until then; null if the policy disables none.
 * @param policy the SQL expression for the policy, as jsonb
 */
export function disablesAt(policy: string): string {
  return `CASE WHEN ${policy}->>'disable_unused_after_days' IS NOT NULL THEN greatest(
    greatest(k.created_at, k.enabled_at, k.rotated_at, u.last_used_at, v.last_at)
      + make_interval(days => (${policy}->>'disable_unused_after_days')::int),
    (${policy}->>'disable_unused_from')::timestamptz) END`;
}

/** SQL: the same by the policy of the key's organization. */
export const DISABLES_AT = `(SELECT ${disablesAt('o.key_policy')} FROM organization o WHERE o.id = k.organization_id)`;
