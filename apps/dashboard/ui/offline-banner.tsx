import { Notification } from '@mantine/core';
import { onlineManager } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';

/** Shown while the server cannot be reached. Loaded data stays visible, and queries resume on their own. */
export function OfflineBanner() {
  const online = useSyncExternalStore(
    (listener) => onlineManager.subscribe(listener),
    () => onlineManager.isOnline(),
  );
  if (online) return null;
  return (
    <Notification
      className="offline"
      role="status"
      withCloseButton={false}
      withBorder
      loading
      title="Keyledger cannot be reached"
    >
      Trying again. The page may be out of date.
    </Notification>
  );
}
