import { styleText } from 'node:util';
import type { AuditEvent, AuditFilterName } from '#libs/contract/audit.js';
import { calledIn } from '#libs/contract/events.js';
import { keyId } from './keys.js';
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
} as const satisfies Record<string, AuditFilterName>;

type FilterName = keyof typeof PARAMETERS;
type FilterOption = FilterName | `not${Capitalize<FilterName>}`;
export type AuditFilters = { readonly [Name in FilterOption | 'organization']?: string };

type FilterParameter = AuditFilterName | `not_${AuditFilterName}`;

export function filtersOf(options: AuditFilters): { readonly [Name in FilterParameter | 'organization_id']?: string } {
  const filters = Object.entries(PARAMETERS).flatMap(([name, parameter]) => {
    const { [name as FilterName]: wanted, [opposite(name as FilterName)]: unwanted } = options;
    return [
      [parameter, valueOf(parameter, wanted)],
      [`not_${parameter}`, valueOf(parameter, unwanted)],
    ];
  });
  return { ...Object.fromEntries(filters), organization_id: options.organization };
}

function opposite<Name extends FilterName>(name: Name): `not${Capitalize<Name>}` {
  return `not${name[0]!.toUpperCase()}${name.slice(1)}` as `not${Capitalize<Name>}`;
}

function valueOf(parameter: AuditFilterName, text: string | undefined): string | undefined {
  return text === undefined || parameter !== 'key_id' ? text : keyId(text);
}

export const AUDIT_COLUMNS: readonly Column<AuditEvent>[] = [
  { title: 'TIME', value: ({ event }) => localTime(event.time, 'second') },
  { title: 'TYPE', value: ({ event }) => event.type, colour: colourOf },
  { title: 'SUBJECT', value: ({ event }) => event.subject },
  { title: 'WHAT', value: ({ event }) => summaryOf(event.data), shrinksTo: 16, expendable: 1 },
  { title: 'ACTOR', value: ({ event: { data } }) => actorOf(data), expendable: 3 },
  { title: 'IP', value: ({ event }) => textOf(event.data['ip']), expendable: 2 },
  { title: 'INDEX', value: ({ leaf_index }) => String(leaf_index), align: 'right', expendable: 4 },
];

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
  const { method, path, code, name, email, role, changes, count, summary } = data;
  const changed = typeof changes === 'object' && changes !== null ? Object.keys(changes).join(', ') : '';
  const times = typeof count === 'number' && count > 1 ? `${count} times` : '';
  const requests = summary === true ? (count === 1 ? 'in another request' : 'in other requests') : '';
  const { name: subject, email: address } = calledIn(data, 'subject');
  const about = [subject ?? address, calledIn(data, 'organization').name].filter(Boolean);
  return [...about, method, path, code, times, requests, name, email, role, changed]
    .map(textOf)
    .filter(Boolean)
    .join(' ');
}

/** The name of the actor in the event, else its id. */
function actorOf(data: Data): string {
  const { type, id } = data.actor;
  const { name, email } = calledIn(data, 'actor');
  const called = name ?? email ?? id;
  if (!called) return type;
  return type === 'operator' ? `${called} (operator)` : called;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
