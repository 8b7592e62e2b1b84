import { queryOptions } from '@tanstack/react-query';
import { PAGE_MAX } from '#libs/contract/lists.js';
import { covers } from '#libs/contract/scopes.js';
import { api } from '../session/session.js';
import { stacks } from './stacks.js';
import type { StackName } from './start-search.js';

const SOON_MS = 3_000;
const YEAR_MS = 365 * 86_400_000;

/** The active keys among the latest ones. */
export const activeKeysQuery = (organizationId: string) =>
  queryOptions({
    queryKey: ['api-keys', 'for-start', organizationId],
    queryFn: async () => {
      const { data } = await api.apiKeys.list({ query: { organization_id: organizationId, limit: PAGE_MAX } });
      return data.filter(({ status }) => status === 'active');
    },
  });

export type Keys = readonly { readonly scopes: readonly string[] }[];

/** Whether any of these keys reaches the scope. */
export function reaches(keys: Keys, scope: string): boolean {
  return keys.some(({ scopes }) => scopes.some((granted) => covers(granted, scope)));
}

/** Whether these keys are enough for a request: a service of one's own also needs a key with which it asks. */
export function areEnough(keys: Keys, scope: string, stack: StackName): boolean {
  return reaches(keys, scope) && (stacks[stack].place !== 'service' || reaches(keys, 'api-keys:verify'));
}

/** The requests to the vendor's API in the last year. Asks again soon, until there is an accepted one. */
export const firstRequestQuery = (organizationId: string) =>
  queryOptions({
    queryKey: ['usage', organizationId, 'first request'],
    queryFn: async () => {
      const query = { from: new Date(Date.now() - YEAR_MS).toISOString(), surface: 'application' as const };
      return (await api.usage.ofOrganization({ params: { id: organizationId }, query })).totals;
    },
    refetchInterval: ({ state }) => (state.data && state.data.uses > 0 ? false : SOON_MS),
  });
