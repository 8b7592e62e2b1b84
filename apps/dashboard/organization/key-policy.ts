import { queryOptions } from '@tanstack/react-query';
import { entityTagOf } from '#libs/client/client.js';
import type { KeyPolicy } from '#libs/contract/key-policy.js';
import { api } from '../session/session.js';
import { counted, listed } from '../ui/format.js';

export const keyPolicyQuery = (organizationId: string) =>
  queryOptions({
    queryKey: ['key-policy', organizationId],
    queryFn: async () => {
      const policy = await api.keyPolicy.get({ params: { id: organizationId } });
      return { policy, etag: entityTagOf(policy) };
    },
    // An operator's read is recorded.
    staleTime: 60_000,
    refetchOnWindowFocus: false,
  });

type Rules = Omit<KeyPolicy, 'disable_unused_from'>;

/** What every key must keep to, each rule as a sentence. */
export function rulesInWords(policy: Rules): string[] {
  const { require_expiry: expires, max_lifetime_days: lifetime, environments, allowed_ips: ranges } = policy;
  const rules: (string | false | null)[] = [
    lifetime === null
      ? expires && 'A key must have an expiry.'
      : `A key must expire within ${counted(lifetime, 'day')} of its creation.`,
    environments && `Its environment must be ${environments.join(' or ')}.`,
    ranges && `Its allowed IP addresses must be within ${listed(ranges)}.`,
  ];
  return rules.filter((rule) => typeof rule === 'string');
}

export function unusedRuleInWords({ disable_unused_after_days: days }: Rules): string | null {
  return days === null ? null : `A key that is unused for ${counted(days, 'day')} is disabled.`;
}
