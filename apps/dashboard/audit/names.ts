import { queryOptions, useQuery } from '@tanstack/react-query';
import { useCallback } from 'react';
import { ApiError } from '#libs/client/client.js';
import { DomainEvent } from '#libs/contract/events.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { api } from '../session/session.js';

export type NameOf = (id: string) => string;
type Names = Readonly<Record<string, string>>;

/** Events that name keys, projects and former members. Readers of the audit log may know these names. */
const NAMING = 'api_key.created,api_key.updated,project.created,project.updated,member.removed,user.operator_removed';
const MOST_PAGES = 5;
const PAGE = 100;

/**
 * Returns names for ids that an event does not name: keys and projects by the audit log, else a shortened id. People
 * keep the name in the event, because they may have another name today. Undefined until the names have loaded, so that
 * no id is shown and then replaced by a name.
 */
export function useNames(organizationId: string): NameOf | undefined {
  const { data: names, isPending } = useQuery(namesQuery(organizationId));
  const nameOf: NameOf = useCallback((id) => (isPerson(id) ? undefined : names?.[id]) ?? shortId(id), [names]);
  return isPending ? undefined : nameOf;
}

const isPerson = (id: string) => id.startsWith('user_');

/** Names for filters: the current names of people, and the last names of former members. */
export const namesQuery = (organizationId: string) =>
  queryOptions({
    queryKey: ['audit-names', organizationId],
    queryFn: async (): Promise<Names> => {
      const [people, inAuditLog] = await Promise.all([namesOfPeople(organizationId), namesInAuditLog(organizationId)]);
      return { ...inAuditLog, ...people };
    },
    staleTime: 300_000,
  });

async function namesOfPeople(organizationId: string): Promise<Names> {
  const people = await firstPages<{ user_id: string; name: string }>((cursor) =>
    organizationId === DEPLOYMENT_ID
      ? api.deployment.listOperators()
      : api.members.list({ params: { id: organizationId }, query: { limit: PAGE, cursor } }),
  );
  return Object.fromEntries(people.map(({ user_id, name }) => [user_id, name]));
}

async function namesInAuditLog(organizationId: string): Promise<Names> {
  const events = await firstPages((cursor) =>
    api.audit.listEvents({ query: { organization_id: organizationId, type: NAMING, limit: PAGE, cursor } }),
  );
  // From the oldest to the newest, so that the last name wins.
  return Object.fromEntries(
    events.toReversed().flatMap(({ event }) => {
      const known = DomainEvent.safeParse(event).data;
      const name = known && nameIn(known);
      return name === undefined ? [] : [[event.subject, name]];
    }),
  );
}

function nameIn({ type, data }: DomainEvent): string | undefined {
  switch (type) {
    case 'member.removed':
    case 'user.operator_removed':
      return data.subject?.name;
    case 'api_key.created':
    case 'project.created':
      return data.name;
    case 'api_key.updated':
    case 'project.updated': {
      const after = data.changes['name']?.after;
      return typeof after === 'string' ? after : undefined;
    }
    default:
      return undefined;
  }
}

interface Page<Item> {
  readonly data: readonly Item[];
  readonly next_cursor?: string | null;
}

/** Names are optional: if the user may not read them, or there are too many, the rest is shown by id. */
async function firstPages<Item>(read: (cursor: string | undefined) => Promise<Page<Item>>): Promise<Item[]> {
  const all: Item[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MOST_PAGES; page++) {
    try {
      const { data, next_cursor } = await read(cursor);
      all.push(...data);
      if (!next_cursor) break;
      cursor = next_cursor;
    } catch (error) {
      if (!(error instanceof ApiError) || error.problem.status >= 500) throw error;
      break;
    }
  }
  return all;
}

/** The kind and the end of the id. The beginning is the time, which ids from about the same time share. */
function shortId(id: string): string {
  const [, kind, rest] = /^([a-z]+)_(\w{26})$/.exec(id) ?? [];
  return kind ? `${kind}_…${rest!.slice(-6)}` : id;
}
