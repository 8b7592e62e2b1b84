import '@mantine/core/styles.css';
import './app.css';
import { MantineProvider } from '@mantine/core';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { meQuery } from '../session/me.js';
import { hasEnded, watchSession } from '../session/session.js';
import { OfflineBanner } from '../ui/offline-banner.js';
import { nonce } from './content-security-policy.js';
import { queryClient } from './query-client.js';
import { router } from './router.js';
import { cssVariables, theme } from './theme.js';

watchSession(() => void followSession());

/** After a sign-in or sign-out: moves to a page that the current user may see, and removes the previous user's data. */
async function followSession(): Promise<void> {
  // The router reads the result from the cache.
  await queryClient.fetchQuery({ ...meQuery, staleTime: 0 }).catch(() => undefined);
  // The shell asks the user to sign in again where they are.
  if (hasEnded()) return;
  await router.invalidate();
  queryClient.removeQueries({ type: 'inactive' });
  await queryClient.invalidateQueries();
}

export function App() {
  return (
    <MantineProvider
      theme={theme}
      cssVariablesResolver={cssVariables}
      defaultColorScheme="auto"
      getStyleNonce={() => nonce}
    >
      <QueryClientProvider client={queryClient}>
        <OfflineBanner />
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  );
}
