import { useMemo, useSyncExternalStore } from 'react';
import type { ProofError } from '#libs/tlog/proof-error.js';
import { parseRemembered, type Remembered } from './remembered.js';

const keyOf = (organizationId: string) => `keyledger-integrity-${organizationId}`;

/** What this browser remembers. @throws ProofError if that cannot be read */
export function recall(organizationId: string): Remembered | null {
  return parseRemembered(localStorage.getItem(keyOf(organizationId)));
}

export function remember(organizationId: string, remembered: Remembered): void {
  localStorage.setItem(keyOf(organizationId), JSON.stringify(remembered));
  tellThisTab(organizationId);
}

export function forget(organizationId: string): void {
  localStorage.removeItem(keyOf(organizationId));
  tellThisTab(organizationId);
}

/** Browsers send this event only to other tabs. */
function tellThisTab(organizationId: string): void {
  window.dispatchEvent(new StorageEvent('storage', { key: keyOf(organizationId) }));
}

/** What this browser remembers, also after a change in another tab. @returns a ProofError if it cannot be read */
export function useRemembered(organizationId: string): Remembered | null | ProofError {
  const text = useSyncExternalStore(subscribe, () => localStorage.getItem(keyOf(organizationId)));
  return useMemo(() => {
    try {
      return parseRemembered(text);
    } catch (error) {
      return error as ProofError;
    }
  }, [text]);
}

function subscribe(onChange: () => void): () => void {
  window.addEventListener('storage', onChange);
  return () => window.removeEventListener('storage', onChange);
}
