import { queryOptions } from '@tanstack/react-query';
import { api } from '../session/session.js';

/** The scopes that this deployment knows, with what they are for. They change with its settings only. */
export const scopesQuery = queryOptions({
  queryKey: ['scopes'],
  queryFn: async () => (await api.apiKeys.listScopes()).data,
  staleTime: 600_000,
});

interface Described {
  readonly scope: string;
  readonly description: string | null;
}

/** What a scope reaches, in words; wildcards too. */
export function scopeInWords(scope: string, known: readonly Described[]): string {
  const [resource = '', action = ''] = scope.split(':');
  if (scope === '*:*') return 'Everything';
  if (action === '*') return `Everything about ${resource}`;
  const verb = `${action.charAt(0).toUpperCase()}${action.slice(1)}`;
  if (resource === '*') return `${verb} everything`;
  return known.find((one) => one.scope === scope)?.description ?? `${verb} ${resource}`;
}
