import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query';
import { ApiError } from '#libs/client/client.js';
import { organizationsQuery } from '../organization/organizations.js';
import { meQuery } from '../session/me.js';
import { isAway } from '../session/reachability.js';

export const queryClient = new QueryClient({
  queryCache: new QueryCache({ onError: lookAgain }),
  mutationCache: new MutationCache({ onError: lookAgain }),
  defaultOptions: {
    // While the server is away queries wait for it. Any other response would be the same again.
    queries: { retry: (_failures, error) => isAway(error), staleTime: 5000 },
    // A change that is made whenever the server comes back is not what somebody clicked for.
    mutations: { retry: false, networkMode: 'always' },
  },
});

/** Such responses also come when somebody lost a role, or the organization, meanwhile: the page should not go on as before. */
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
