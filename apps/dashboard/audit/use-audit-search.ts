import { useNavigate, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
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
