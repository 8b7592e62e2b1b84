import type { updateKeyPolicy, KeyPolicy } from '#libs/contract/key-policy.js';
import { Network } from '#libs/contract/networks.js';
import type { RouteInput } from '#libs/contract/route.js';
import type { Environment } from '#libs/contract/api-key-schemas.js';

/** The fields of the form. An empty number or list means no rule. */
export interface PolicyForm {
  readonly require_expiry: boolean;
  readonly max_lifetime_days: number | string;
  readonly environment: Environment | 'any';
  readonly allowed_ips: readonly string[];
  readonly disable_unused_after_days: number | string;
}

export type PolicyPatch = RouteInput<typeof updateKeyPolicy>['body'];

export function formOf(policy: KeyPolicy): PolicyForm {
  const [only, ...others] = policy.environments ?? [];
  return {
    require_expiry: policy.require_expiry,
    max_lifetime_days: policy.max_lifetime_days ?? '',
    environment: only && others.length === 0 ? only : 'any',
    allowed_ips: policy.allowed_ips ?? [],
    disable_unused_after_days: policy.disable_unused_after_days ?? '',
  };
}

export function patchOf(form: PolicyForm): PolicyPatch {
  return {
    require_expiry: form.require_expiry,
    max_lifetime_days: daysOf(form.max_lifetime_days),
    environments: form.environment === 'any' ? null : [form.environment],
    allowed_ips: form.allowed_ips.length === 0 ? null : [...form.allowed_ips],
    disable_unused_after_days: daysOf(form.disable_unused_after_days),
  };
}

function daysOf(typed: number | string): number | null {
  return typed === '' ? null : Number(typed);
}

/** Checks that need no request to the server. */
export function problemsOf(form: PolicyForm): Record<string, string> {
  const wrong = form.allowed_ips.find((text) => !Network.safeParse(text).success);
  return {
    ...daysProblem('max_lifetime_days', form.max_lifetime_days),
    ...daysProblem('disable_unused_after_days', form.disable_unused_after_days),
    ...(wrong && { allowed_ips: `${wrong} is not an address or a network such as 192.0.2.0/24` }),
  };
}

function daysProblem(field: string, typed: number | string): Record<string, string> {
  const days = daysOf(typed);
  return days === null || (days >= 1 && days <= 3650) ? {} : { [field]: 'Enter 1 to 3,650 days, or nothing' };
}
