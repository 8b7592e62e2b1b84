import { styleText } from 'node:util';
import type { Client } from '#libs/client/client.js';
import type { AuditEvent, AuditFilterName } from '#libs/contract/audit.js';
import { calledIn } from '#libs/contract/events.js';
import type { Names } from './display-names.js';
import { findId, isAnyId, isIdOf, refuseSecret, type KindOfObject } from './find-id.js';
import { chosenOrganization, ownOrganization } from './organizations.js';
import type { Colour, Column, Layout } from './table.js';
import { cut, localTime, printable, widthOf } from './text.js';

/** The parameter of the API for each filter. */
const PARAMETERS = {
  type: 'type',
  key: 'key_id',
  actor: 'actor_id',
  subject: 'subject',
  outcome: 'outcome',
  ip: 'ip',
  path: 'path',
  secret: 'secret_id',
  project: 'project_id',
  verifiedBy: 'verified_by',
  requestId: 'request_id',
  userAgent: 'user_agent',
  search: 'search',
} as const satisfies Record<string, AuditFilterName>;

type FilterName = keyof typeof PARAMETERS;
type FilterOption = FilterName | `not${Capitalize<FilterName>}`;
export type AuditFilters = { readonly [Name in FilterOption | 'organization']?: string };

/** What a filter may be besides an id: the name of one of these. */
const NAMED: Partial<Record<AuditFilterName, readonly KindOfObject[]>> = {
  key_id: ['key'],
  project_id: ['project'],
  actor_id: ['member', 'key'],
  subject: ['key', 'project', 'member'],
  verified_by: ['key', 'member'],
};

type FilterParameter = AuditFilterName | `not_${AuditFilterName}`;
type Filters = { readonly [Name in FilterParameter | 'organization_id']?: string };

/** The parameters of the API for the options of a command. Names become ids. */
export async function filtersOf(api: Client, env: NodeJS.ProcessEnv, options: AuditFilters): Promise<Filters> {
  const organization = await chosenOrganization(api, env, options.organization);
  const filters = await Promise.all(
    Object.entries(PARAMETERS).flatMap(([name, parameter]) => {
      const { [name as FilterName]: wanted, [opposite(name as FilterName)]: unwanted } = options;
      return [[parameter, wanted] as const, [`not_${parameter}`, unwanted] as const].map(async ([name, text]) => [
        name,
        await valueOf(parameter, text, () => organization ?? ownOrganization(api), api),
      ]);
    }),
  );
  return { ...(Object.fromEntries(filters) as Filters), organization_id: organization };
}

function opposite<Name extends FilterName>(name: Name): `not${Capitalize<Name>}` {
  return `not${name[0]!.toUpperCase()}${name.slice(1)}` as `not${Capitalize<Name>}`;
}

/** An id of any kind needs no request, nor does an id of another system. */
async function valueOf(
  parameter: AuditFilterName,
  text: string | undefined,
  where: () => string | Promise<string>,
  api: Client,
): Promise<string | undefined> {
  const kinds = NAMED[parameter];
  if (text === undefined || !kinds || isIdOf(kinds, text)) return text;
  if (parameter === 'subject' && isAnyId(text)) return text;
  refuseSecret(kinds, text);
  return findId(api, kinds, text, await where());
}

/**
 * Who did what to which object. On a narrow terminal all of that stays; the ids are the first to go.
 * @param names of what has no name in its event
 */
export function auditColumns(events: readonly AuditEvent[], names: Names): readonly Column<AuditEvent>[] {
  const subjectOf = ({ event }: AuditEvent) => nameOfSubject(event.data) ?? names.get(event.subject) ?? event.subject;
  const isFolded = events.some(({ event }) => countOf(event.data) > 1);
  const count: Column<AuditEvent> = {
    title: 'COUNT',
    value: ({ event }) => String(countOf(event.data)),
    align: 'right',
  };
  return [
    { title: 'TIME', value: ({ event }) => localTime(event.time, 'second') },
    { title: 'ACTOR', value: ({ event: { data } }) => actorOf(data, names), shrinksTo: 10 },
    { title: 'TYPE', value: ({ event }) => event.type, colour: colourOf, shrinksTo: 16 },
    { title: 'SUBJECT', value: subjectOf, shrinksTo: 10 },
    ...(isFolded ? [count] : []),
    {
      title: 'WHAT',
      value: (leaf) => textsOf(leaf.event.data, subjectOf(leaf)),
      shrinksTo: 10,
      expendable: 1,
    },
    { title: 'IP', value: ({ event }) => textOf(event.data['ip']), expendable: 2 },
    { title: 'INDEX', value: ({ leaf_index }) => String(leaf_index), align: 'right', expendable: 3 },
    { title: 'SUBJECT ID', value: ({ event }) => event.subject, expendable: 4 },
  ];
}

/** The ids in these events that stand there without a name. */
export function namelessIds(events: readonly AuditEvent[]): ReadonlySet<string> {
  return new Set(
    events.flatMap(({ event: { subject, data } }) => [
      ...(nameOfSubject(data) === undefined ? [subject] : []),
      ...(nameOfActor(data) === undefined && data.actor.id ? [data.actor.id] : []),
    ]),
  );
}

/** Wide enough for nearly all types, and for key ids. */
const TYPE_WIDTH = 22;
const SUBJECT_WIDTH = 30;

/** One event as a line, for a list that grows. */
export function auditLine(leaf: AuditEvent, { width, colours }: Layout): string {
  const { event } = leaf;
  const type = printable(event.type);
  const cells = [
    localTime(event.time, 'second'),
    padded(type, TYPE_WIDTH),
    padded(printable(event.subject), SUBJECT_WIDTH),
    printable(whatWhoAndWhere(event.data)),
  ];
  const line = cut(cells.join('  ').trimEnd(), width);
  const colour = colours ? colourOf(leaf) : undefined;
  return colour ? line.replace(type, styleText(colour, type, { validateStream: false })) : line;
}

type Data = AuditEvent['event']['data'];

/** The actor is left out where it has no name: for the use of a key, the subject identifies it already. */
function whatWhoAndWhere(data: Data): string {
  const by = data.actor['name'] === undefined && data.actor.type !== 'operator' ? '' : `by ${actorOf(data)}`;
  const ip = textOf(data['ip']);
  return [summaryOf(data), by, ip && `from ${ip}`].filter(Boolean).join(' ');
}

function padded(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)));
}

function colourOf({ event }: AuditEvent): Colour | undefined {
  return /denied|failed|reused/.test(event.type) ? 'red' : undefined;
}

/** What distinguishes an event from others of its type, including types that this version does not know. */
function summaryOf(data: Data): string {
  const count = countOf(data);
  const { name: subject, email: address } = calledIn(data, 'subject');
  return [subject ?? address, textsOf(data, undefined), count > 1 ? `${count} times` : ''].filter(Boolean).join(' ');
}

/** @param subject is not repeated, because a column shows it */
function textsOf(data: Data, subject: string | undefined): string {
  const { code, scopes, method, path, name, email, role, changes, summary } = data;
  const changed = typeof changes === 'object' && changes !== null ? Object.keys(changes).join(', ') : '';
  const requests = summary === true ? (countOf(data) === 1 ? 'in another request' : 'in other requests') : '';
  const missing = code === 'insufficient_scope' && Array.isArray(scopes) ? `(${scopes.join(', ')})` : '';
  const where = calledIn(data, 'organization').name;
  return [where, code, missing, method, path, requests, name, email, role, changed]
    .map(textOf)
    .filter((text) => text !== '' && text !== subject)
    .join(' ');
}

/** For how many denials the event stands. */
function countOf({ count }: Data): number {
  return typeof count === 'number' ? count : 1;
}

function nameOfSubject(data: Data): string | undefined {
  const { name, email } = calledIn(data, 'subject');
  return name ?? email;
}

function nameOfActor(data: Data): string | undefined {
  const { name, email } = calledIn(data, 'actor');
  return name ?? email;
}

/** The name of the actor, else its id. */
function actorOf(data: Data, names?: Names): string {
  const { type, id } = data.actor;
  const called = nameOfActor(data) ?? names?.get(id ?? '') ?? id;
  if (!called) return type;
  return type === 'operator' ? `${called} (operator)` : called;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
