import { queryOptions, useQuery } from '@tanstack/react-query';
import { useCallback } from 'react';
import { ApiError } from '#libs/client/client.js';
import { DomainEvent } from '#libs/contract/events.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { api } from '../session/session.js';

export type NameOf = (id: string) => string;
type Names = Readonly<Record<string, string>>;

/** What tells the names of keys and projects, and of members who left. The audit log keeps them, and its readers may know them. */
const NAMING = 'api_key.created,api_key.updated,project.created,project.updated,member.removed,user.operator_removed';
const MOST_PAGES = 5;
const PAGE = 100;

/**
 * For what an event does not name: keys and projects by the audit log, and ids, shortened. People are called what the event
 * calls them, because a name of today may be another one. Undefined until it is known which key has a name: no id is shown
 * that is about to become one.
 */
export function useNames(organizationId: string): NameOf | undefined {
  const { data: names, isPending } = useQuery(namesQuery(organizationId));
  const nameOf: NameOf = useCallback((id) => (isPerson(id) ? undefined : names?.[id]) ?? shortId(id), [names]);
  return isPending ? undefined : nameOf;
}

const isPerson = (id: string) => id.startsWith('user_');

/** To choose from, and to read a choice: people by their names of today, and those who left by their last. */
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
  // From the oldest on, so that the last name counts.
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

/** Names are a help: where they may not be read, or are too many, ids do. */
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

/** What it is, and the end of it: the beginning is the time, which neighbours share. */
function shortId(id: string): string {
  const [, kind, rest] = /^([a-z]+)_(\w{26})$/.exec(id) ?? [];
  return kind ? `${kind}_…${rest!.slice(-6)}` : id;
}
