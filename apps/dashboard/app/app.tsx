import '@mantine/core/styles.css';
import './app.css';
import { MantineProvider } from '@mantine/core';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { meQuery } from '../session/me.js';
import { watchSession } from '../session/session.js';
import { OfflineBanner } from '../ui/offline-banner.js';
import { nonce } from './content-security-policy.js';
import { queryClient } from './query-client.js';
import { router } from './router.js';
import { cssVariables, theme } from './theme.js';

watchSession(() => void followSession());

/** On to what whoever is signed in now may see, or to sign-in; what the one before has read goes. */
async function followSession(): Promise<void> {
  // The router sees what it returns.
  await queryClient.fetchQuery({ ...meQuery, staleTime: 0 }).catch(() => undefined);
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
