import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import type { summarizeAuditEvents } from '#libs/contract/audit-summary.js';
import type { RouteOutput } from '#libs/contract/route.js';
import { fullPage } from '#libs/client/full-page.js';
import { api } from '../session/session.js';
import type { AuditSearch, EventQuery } from './audit-search.js';

/** Whose events a page of activity shows: those of an actor, about a subject, or from an address. */
export type ActivityView = 'by' | 'about' | 'from';

/** The filter of a page of activity. */
export function activityFilter(view: ActivityView, of: string): Pick<AuditSearch, 'actor_id' | 'subject' | 'ip'> {
  switch (view) {
    case 'by':
      return { actor_id: of };
    case 'about':
      return { subject: of };
    default:
      return { ip: addressIn(of) };
  }
}

/** A slash has a meaning in the address of a page, and a network has one. */
export function addressParameter(ip: string): string {
  return ip.replace('/', '_');
}

export function addressIn(parameter: string): string {
  return parameter.replace('_', '/');
}

type Summary = RouteOutput<typeof summarizeAuditEvents>;
export type TypeCount = Summary['data'][number];

/** Counts from the newest event on. Each page is as much as the API counts at once. */
export const summaryQuery = (query: EventQuery) =>
  infiniteQueryOptions({
    queryKey: ['audit-summary', query],
    queryFn: ({ pageParam: cursor, signal }) => {
      signal.throwIfAborted();
      return api.audit.summarizeEvents({ query: { ...query, cursor } });
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next_cursor: cursor }) => cursor,
    staleTime: 60_000,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });

interface Counted {
  readonly events: number;
  readonly byType: readonly TypeCount[];
  readonly newest: Summary['newest'];
  readonly oldest: Summary['oldest'];
}

/** Adds up the pages, the newest first. */
export function addedUp(pages: readonly Summary[]): Counted {
  const byType = new Map<string, TypeCount>();
  for (const one of pages.flatMap(({ data }) => data)) {
    const key = `${one.type} ${one.outcome ?? ''}`;
    const known = byType.get(key);
    byType.set(key, {
      ...one,
      events: one.events + (known?.events ?? 0),
      count: one.count + (known?.count ?? 0),
    });
  }
  const counts = [...byType.values()].toSorted((a, b) => b.events - a.events);
  return {
    events: counts.reduce((sum, { events }) => sum + events, 0),
    byType: counts,
    newest: pages.find(({ newest }) => newest)?.newest ?? null,
    oldest: pages.findLast(({ oldest }) => oldest)?.oldest ?? null,
  };
}

/** The time of the first event that matches, which the count may reach only late. */
export const firstSeenQuery = (query: EventQuery) =>
  queryOptions({
    queryKey: ['audit-first-seen', query],
    queryFn: async ({ signal }) => {
      const read = (limit: number, cursor?: string) =>
        api.audit.listEvents({ query: { ...query, order: 'asc', limit, cursor } });
      const { data } = await fullPage(1, read, undefined, signal);
      return data[0]?.event.time ?? null;
    },
    staleTime: 300_000,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
