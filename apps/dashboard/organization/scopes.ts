import { queryOptions } from '@tanstack/react-query';
import { api } from '../session/session.js';

/** The scopes of this deployment, with descriptions. They change only with its settings. */
export const scopesQuery = queryOptions({
  queryKey: ['scopes'],
  queryFn: async () => (await api.apiKeys.listScopes()).data,
  staleTime: 600_000,
});

interface Described {
  readonly scope: string;
  readonly description: string | null;
}

/** Describes a scope or a wildcard in words. */
export function scopeInWords(scope: string, known: readonly Described[]): string {
  const [resource = '', action = ''] = scope.split(':');
  if (scope === '*:*') return 'Everything';
  if (action === '*') return `All scopes of ${resource}`;
  const verb = `${action.charAt(0).toUpperCase()}${action.slice(1)}`;
  if (resource === '*') return `${verb} everything`;
  return known.find((one) => one.scope === scope)?.description ?? `${verb} ${resource}`;
}
