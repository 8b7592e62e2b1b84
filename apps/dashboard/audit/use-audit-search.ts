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
 * The same on a page that sets a filter of its own.
 * @param fixed what the page sets
 */
export function useSearchWithin(organizationId: string, fixed: Partial<AuditSearch>) {
  const { search: chosen, change } = useAuditSearch();
  const navigate = useNavigate();
  const search = useMemo(() => ({ ...chosen, ...fixed }), [chosen, fixed]);
  /** A filter that contradicts the page leads to the whole log. */
  const filter = (patch: Partial<AuditSearch>) => {
    const names = Object.keys(fixed) as (keyof AuditSearch)[];
    const stays = names.every((name) => patch[name] === undefined || patch[name] === fixed[name]);
    if (stays) change({ ...patch, event: undefined });
    else {
      const all = { ...search, ...patch, event: undefined };
      void navigate({ to: '/org/$organizationId/audit', params: { organizationId }, search: all });
    }
  };
  return { chosen, search, change, filter };
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
