import { queryOptions, skipToken, useQuery, type QueryClient } from '@tanstack/react-query';
import { useCallback } from 'react';
import { readAuditNames } from '#libs/client/audit-names.js';
import { ApiError } from '#libs/client/client.js';
import type { AuditEvent } from '#libs/contract/audit.js';
import type { AuditName, NamedKind } from '#libs/contract/audit-names.js';
import { api } from '../session/session.js';

export type NameOf = (id: string) => string;
type Names = Readonly<Record<string, string>>;

/** Ids of keys and projects, whose names events of uses do not have. Events name people themselves. */
const UNNAMED = /\b(?:key|proj)_[0-7][0-9a-hjkmnp-tv-z]{25}\b/g;

/** The names that the pages, the tail and the opened events have needed so far. */
const knownNames = (organizationId: string) =>
  queryOptions<Names>({
    queryKey: ['audit-names', organizationId],
    queryFn: skipToken,
    staleTime: Infinity,
    gcTime: Infinity,
  });

/**
 * Loads the names for these events, in one request for up to 100 ids, before they are shown: no id is shown and then
 * replaced by a name. Names are optional: without the right to read them, the ids are shown.
 */
export async function loadNames(
  client: QueryClient,
  organizationId: string,
  events: readonly AuditEvent[],
): Promise<void> {
  const ids = [...new Set(events.flatMap(({ event }) => JSON.stringify(event).match(UNNAMED) ?? []))];
  if (ids.length === 0) return;
  const names = await namesOf(organizationId, ids);
  const found = Object.fromEntries(names.map(({ id, name }) => [id, name]));
  client.setQueryData(knownNames(organizationId).queryKey, (known) => ({ ...known, ...found }));
}

async function namesOf(organizationId: string, ids: readonly string[]): Promise<AuditName[]> {
  try {
    return await readAuditNames(api, organizationId, ids);
  } catch (error) {
    if (error instanceof ApiError && error.problem.status < 500) return [];
    throw error;
  }
}

/** Returns names for ids that an event does not name. Without one: the kind and the end of the id. */
export function useNames(organizationId: string): NameOf {
  const { data: names } = useQuery(knownNames(organizationId));
  return useCallback((id) => (isPerson(id) ? undefined : names?.[id]) ?? shortId(id), [names]);
}

/** A person may have another name today than in the event. */
const isPerson = (id: string) => id.startsWith('user_');

/** The names of chosen filters: people by their current names, former members by their last ones. */
export const chosenNamesQuery = (organizationId: string, ids: readonly string[]) =>
  queryOptions({
    queryKey: ['audit-names', organizationId, 'chosen', ids],
    queryFn: () => namesOf(organizationId, ids),
    enabled: ids.length > 0,
    staleTime: 300_000,
  });

/** The first names with a text, for a choice. */
export const nameSearchQuery = (organizationId: string, kinds: readonly NamedKind[], search: string) =>
  queryOptions({
    queryKey: ['audit-names', organizationId, 'search', kinds, search],
    queryFn: () =>
      api.audit.listNames({
        query: { organization_id: organizationId, kind: kinds.join(','), ...(search && { search }) },
      }),
    staleTime: 60_000,
  });

/** The kind and the end of the id. The beginning is the time, which ids from about the same time share. */
export function shortId(id: string): string {
  const [, kind, rest] = /^([a-z]+)_(\w{26})$/.exec(id) ?? [];
  return kind ? `${kind}_…${rest!.slice(-6)}` : id;
}
