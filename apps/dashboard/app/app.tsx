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

/** First to the page that whoever is signed in now may see, or to sign-in; then away with what the one before has read. */
async function followSession(): Promise<void> {
  queryClient.removeQueries({ queryKey: meQuery.queryKey });
  await router.invalidate();
  await queryClient.resetQueries();
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
