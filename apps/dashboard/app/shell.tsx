import '@mantine/notifications/styles.css';
import { AppShell, Box, Burger, Drawer, Group, Text, ThemeIcon } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Notifications } from '@mantine/notifications';
import { IconKey } from '@tabler/icons-react';
import { useRouter } from '@tanstack/react-router';
import { Suspense, useEffect } from 'react';
import { lazyPart } from '../session/load-part.js';
import { SessionEnded } from '../session/session-ended.js';
import { PageSkeleton } from '../ui/page-skeleton.js';
import { ShortcutsDialog, useShortcut, useShortcutKeys } from '../ui/shortcuts.js';
import { Navigation } from './navigation.js';
import { UnderstoodPage } from './understood-page.js';

const FindDialog = lazyPart(async () => (await import('../find/find-dialog.js')).FindDialog);

/** The frame of every page that needs a signed-in user. */
export function Shell() {
  const router = useRouter();
  const [menuOpened, { close: closeMenu, toggle: toggleMenu }] = useDisclosure(false);
  const [shortcutsOpened, shortcuts] = useDisclosure(false);
  const [findOpened, find] = useDisclosure(false);
  const [enabled, setEnabled] = useShortcutKeys();
  useShortcut('?', 'Show the shortcuts', shortcuts.open);
  useShortcut('f', 'Find by an id, a request id or a key', find.open);
  useEffect(() => router.subscribe('onBeforeNavigate', closeMenu), [router, closeMenu]);

  const navigation = (
    <Suspense fallback={<PageSkeleton rows={6} />}>
      <Navigation onShowShortcuts={shortcuts.open} onFind={find.open} />
    </Suspense>
  );
  return (
    <AppShell
      header={{ height: { base: 52, sm: 0 } }}
      navbar={{ width: 232, breakpoint: 'sm', collapsed: { mobile: true } }}
      padding={{ base: 'md', sm: 'xl' }}
    >
      <a className="skip-link" href="#main">
        Skip to the content
      </a>
      <AppShell.Header hiddenFrom="sm" px="md">
        <Group h="100%" justify="space-between">
          <Group gap="xs">
            <ThemeIcon size="sm">
              <IconKey size={14} />
            </ThemeIcon>
            <Text fw={600}>Keyledger</Text>
          </Group>
          <Burger opened={menuOpened} onClick={toggleMenu} size="sm" aria-label="Menu" />
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="sm" visibleFrom="sm" bg="var(--app-sidebar)">
        {navigation}
      </AppShell.Navbar>
      <Drawer opened={menuOpened} onClose={closeMenu} size={280} hiddenFrom="sm" title="Keyledger">
        {navigation}
      </Drawer>
      <AppShell.Main id="main" tabIndex={-1}>
        <Box maw={1200} mx="auto">
          <Suspense fallback={<PageSkeleton />}>
            <UnderstoodPage />
          </Suspense>
        </Box>
      </AppShell.Main>
      {/* Not on the right, where the buttons of pages are, and behind dialogs, which have theirs anywhere: a notification
          stays open while the pointer is over it. */}
      <Notifications position="bottom-center" zIndex="calc(var(--mantine-z-index-modal) - 1)" />
      <SessionEnded />
      <Suspense>{findOpened && <FindDialog onClose={find.close} />}</Suspense>
      <ShortcutsDialog opened={shortcutsOpened} onClose={shortcuts.close} enabled={enabled} onEnable={setEnabled} />
    </AppShell>
  );
}
