import { queryOptions } from '@tanstack/react-query';
import {
  UNUSED_DAYS,
  UNUSED_SOON_DAYS,
  type BulkAction,
  type changeInBulk,
  type KeyFilter,
  type previewBulkChange,
} from '#libs/contract/bulk-changes.js';
import type { RouteOutput } from '#libs/contract/route.js';
import { api } from '../session/session.js';
import type { ApiKeysSearch } from './api-keys-search.js';

export type BulkPreview = RouteOutput<typeof previewBulkChange>;
export type BulkResult = RouteOutput<typeof changeInBulk>;

/** A change of many keys, as the API takes it. */
export interface BulkRequest {
  readonly organization_id: string;
  readonly action: BulkAction;
  readonly ids?: string[];
  readonly filter?: KeyFilter;
}

/** The filters of the list, as the body of a request. */
export function filterOf({
  search,
  status,
  environment,
  project,
  unused,
  expires,
  limits,
  policy,
}: ApiKeysSearch): KeyFilter {
  return {
    project_id: project,
    status,
    environment,
    search,
    unused_for_days: unused === true ? UNUSED_DAYS : unused,
    ...(expires === 'never' ? { never_expires: true } : { expires_within_days: expires }),
    no_rate_limit: limits === 'none' ? true : undefined,
    breaks_policy: policy === 'broken' ? true : undefined,
    disabled_within_days: policy === 'disables' ? UNUSED_SOON_DAYS : undefined,
  };
}

/** Not cached: what the user confirms has to be current. */
export const bulkPreviewQuery = (request: BulkRequest) =>
  queryOptions({
    queryKey: ['bulk preview', request],
    queryFn: () => api.apiKeys.previewBulkChange({ body: request }),
    gcTime: 0,
    staleTime: Infinity,
    retry: false,
  });
