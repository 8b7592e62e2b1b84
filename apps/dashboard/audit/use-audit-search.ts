import { useNavigate, useRouter, useSearch, type RouterHistory } from '@tanstack/react-router';
import { useEffect, useMemo, useRef } from 'react';
import { AuditSearch } from './audit-search.js';

/** Works on the page of an organization and on that of an operator. */
export function useAuditSearch() {
  const raw = useSearch({ strict: false });
  const search = useMemo(() => AuditSearch.parse(raw), [raw]);
  const navigate = useNavigate();
  const change = (patch: Partial<AuditSearch>, options: { readonly replace?: boolean } = {}) =>
    void navigate({ to: '.', search: (before) => ({ ...before, ...patch }), resetScroll: false, ...options });
  return { search, change };
}

/**
 * Closes the shown event. If the page showed none just before it, goes back, so that Back does not open the event again.
 */
export function useCloseEvent({ search, change }: ReturnType<typeof useAuditSearch>): () => void {
  const { history } = useRouter();
  const isOpen = search.event !== undefined;
  /** The place in the browser's history at which this page showed no event. */
  const closedAt = useRef(-1);
  useEffect(() => {
    if (!isOpen) closedAt.current = placeIn(history);
  }, [history, isOpen]);
  return () => {
    if (placeIn(history) === closedAt.current + 1) history.back();
    else change({ event: undefined }, { replace: true });
  };
}

/** How many pages lie before the current one in the browser's history. */
function placeIn({ location }: RouterHistory): number {
  // oxlint-disable-next-line no-underscore-dangle -- the router's own name
  return location.state.__TSR_index;
}
