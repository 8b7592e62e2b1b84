import type { Environment, KeyRule } from './api-key-schemas.js';
import type { KeyPolicy } from './key-policy.js';
import { areWithin } from './networks.js';

/** What a key policy decides, without I/O. `libs/api-keys/key-policy-conditions.ts` has the same decisions in SQL. */

const DAY_MS = 86_400_000;

/** No key is disabled for lack of use earlier than this many days after its organization chose or tightened the rule. */
export const UNUSED_NOTICE_DAYS = 7;

export const NO_KEY_POLICY: KeyPolicy = {
  require_expiry: false,
  max_lifetime_days: null,
  environments: null,
  allowed_ips: null,
  disable_unused_after_days: null,
  disable_unused_from: null,
};

/** What a policy limits of a key. */
export interface PolicedKey {
  readonly createdAt: Date;
  readonly expiresAt?: Date | null | undefined;
  readonly environment: Environment;
  readonly allowedIps: readonly string[];
}

/** A rule that a key breaks, and what the rule demands of the key. */
interface Breach {
  readonly rule: KeyRule;
  readonly message: string;
}

/** Every rule that the key breaks. */
export function breachesOf(policy: KeyPolicy, key: PolicedKey): Breach[] {
  const { require_expiry: requireExpiry, max_lifetime_days: days, environments, allowed_ips: ranges } = policy;
  const breaches: (Breach | false)[] = [
    requireExpiry && !key.expiresAt && { rule: 'expiry', message: 'must have an expiry' },
    days !== null &&
      !(key.expiresAt && key.expiresAt <= inDays(key.createdAt, days)) && {
        rule: 'lifetime',
        message: `must expire within ${counted(days)} of its creation, by ${inDays(key.createdAt, days).toISOString()}`,
      },
    environments !== null &&
      !environments.includes(key.environment) && {
        rule: 'environment',
        message: `must have the environment ${environments.join(' or ')}`,
      },
    ranges !== null &&
      !(key.allowedIps.length > 0 && areWithin(key.allowedIps, ranges)) && {
        rule: 'addresses',
        message: `must have allowed addresses, all within ${ranges.join(', ')}`,
      },
  ];
  return breaches.filter((breach) => breach !== false);
}

/** What counts as activity of a key, beside its uses: after it, the key has the whole time again. */
interface KeyActivity {
  readonly createdAt: Date;
  readonly enabledAt?: Date | null | undefined;
  readonly rotatedAt?: Date | null | undefined;
}

/** When an active key is disabled if it is not used until then; null if the policy disables no unused keys. */
export function disablesIfUnusedAt(policy: KeyPolicy, key: KeyActivity, lastUsedAt: Date | null): Date | null {
  const { disable_unused_after_days: days, disable_unused_from: from } = policy;
  if (days === null) return null;
  const activity = [key.createdAt, key.enabledAt, key.rotatedAt, lastUsedAt].map((at) => at?.getTime() ?? 0);
  return new Date(Math.max(inDays(new Date(Math.max(...activity)), days).getTime(), from ? Date.parse(from) : 0));
}

/** The policy after a change of some of its rules. Whoever uses a key has notice of a new rule on unused keys. */
export function changedPolicy(
  before: KeyPolicy,
  patch: { readonly [Rule in keyof KeyPolicy]?: KeyPolicy[Rule] | undefined },
  now: Date,
): KeyPolicy {
  // A body of JSON has no undefined values.
  const after: KeyPolicy = { ...before, ...(patch as Partial<KeyPolicy>) };
  const { disable_unused_after_days: days } = after;
  if (days === null) return { ...after, disable_unused_from: null };
  const isStricter = before.disable_unused_after_days === null || days < before.disable_unused_after_days;
  return isStricter ? withNotice(after, now) : after;
}

/** Gives notice of the rule on unused keys, if the policy has it. */
export function withNotice(policy: KeyPolicy, now: Date): KeyPolicy {
  if (policy.disable_unused_after_days === null) return policy;
  return { ...policy, disable_unused_from: inDays(now, UNUSED_NOTICE_DAYS).toISOString() };
}

function inDays(at: Date, days: number): Date {
  return new Date(at.getTime() + days * DAY_MS);
}

function counted(days: number): string {
  return days === 1 ? '1 day' : `${days} days`;
}
