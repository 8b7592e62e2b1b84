import { QueryClient } from '@tanstack/react-query';
import { isAway } from '../session/reachability.js';

export const queryClient = new QueryClient({
  defaultOptions: {
    // While the server is away queries wait for it. Anything else that it answers, it would answer again.
    queries: { retry: (_failures, error) => isAway(error), staleTime: 5000 },
    // A change that is made whenever the server comes back is not what somebody clicked for.
    mutations: { retry: false, networkMode: 'always' },
  },
});
