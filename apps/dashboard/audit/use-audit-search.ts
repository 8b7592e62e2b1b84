import { useNavigate, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { AuditSearch } from './audit-search.js';

/** On whatever page the log is shown: that of an organization, or that of an operator. */
export function useAuditSearch() {
  const raw = useSearch({ strict: false });
  const search = useMemo(() => AuditSearch.parse(raw), [raw]);
  const navigate = useNavigate();
  const change = (patch: Partial<AuditSearch>, options: { readonly replace?: boolean } = {}) =>
    void navigate({ to: '.', search: (before) => ({ ...before, ...patch }), resetScroll: false, ...options });
  return { search, change };
}
