import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query';
import { ApiError } from '#libs/client/client.js';
import { organizationsQuery } from '../organization/organizations.js';
import { meQuery } from '../session/me.js';
import { isAway } from '../session/reachability.js';

export const queryClient = new QueryClient({
  queryCache: new QueryCache({ onError: lookAgain }),
  mutationCache: new MutationCache({ onError: lookAgain }),
  defaultOptions: {
    // Retries only while the server is away: other errors would repeat.
    queries: { retry: (_failures, error) => isAway(error), staleTime: 5000 },
    // A change must not run later, when the server is back: the user clicked for it to happen now.
    mutations: { retry: false, networkMode: 'always' },
  },
});

/** Such an error may mean that the user lost a role or the organization, so both are loaded again. */
function lookAgain(error: Error): void {
  if (
    !(
      error instanceof ApiError && ['insufficient_scope', 'not_found', 'operator_required'].includes(error.problem.code)
    )
  )
    return;
  for (const { queryKey } of [organizationsQuery, meQuery])
    void queryClient.invalidateQueries({ queryKey, exact: true });
}
