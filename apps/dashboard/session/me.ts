import { queryOptions, useSuspenseQuery } from '@tanstack/react-query';
import { api } from './session.js';

/** The signed-in user. */
export const meQuery = queryOptions({
  queryKey: ['me'],
  queryFn: async () => {
    const caller = await api.auth.whoami();
    if (caller.type !== 'user') throw new Error('A session is always of a user');
    return caller.user;
  },
  staleTime: 60_000,
});

export function useMe() {
  return useSuspenseQuery(meQuery).data;
}
