import { useSyncExternalStore } from 'react';

const MINUTE_MS = 60_000;

/** The current time, updated every minute, so that relative times stay correct while a page is open. */
export function useNow(): number {
  return useSyncExternalStore(everyMinute, () => Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS);
}

function everyMinute(listener: () => void): () => void {
  const timer = setInterval(listener, MINUTE_MS);
  return () => clearInterval(timer);
}
