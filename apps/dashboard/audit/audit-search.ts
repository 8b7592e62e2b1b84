import { z } from 'zod';
import { listAuditEvents, type AuditFilterName } from '#libs/contract/audit.js';
import { acceptedBy, timesOnlyWithCustom } from '../ui/search-values.js';

export const TimeRange = z.enum([
  '1h',
  '24h',
  'today',
  'yesterday',
  '7d',
  '30d',
  '90d',
  'month',
  'last-month',
  'custom',
]);
export type TimeRange = z.infer<typeof TimeRange>;

const HOUR_MS = 3_600_000;
const rangeMs = {
  '1h': HOUR_MS,
  '24h': 24 * HOUR_MS,
  '7d': 7 * 24 * HOUR_MS,
  '30d': 30 * 24 * HOUR_MS,
  '90d': 90 * 24 * HOUR_MS,
} as const;

const parameters = listAuditEvents.query.shape;

const FILTERS: readonly AuditFilterName[] = [
  'type',
  'actor_id',
  'key_id',
  'subject',
  'outcome',
  'ip',
  'path',
  'secret_id',
  'project_id',
  'verified_by',
  'request_id',
  'user_agent',
  'search',
];
/** A filter, or its opposite. */
export type FilterParameter = AuditFilterName | `not_${AuditFilterName}`;

/** All except the times. The tail supports these, too. */
const PARAMETERS: readonly FilterParameter[] = [...FILTERS, ...FILTERS.map(opposite)];

export function opposite(name: AuditFilterName): `not_${AuditFilterName}` {
  return `not_${name}`;
}

const filters = Object.fromEntries(PARAMETERS.map((name) => [name, acceptedBy(parameters[name]).optional()]));

/** The state of the audit log in the address. The filters have the same names as in the API. */
export const AuditSearch = z
  .strictObject({
    ...(filters as Record<FilterParameter, z.ZodOptional<ReturnType<typeof acceptedBy>>>),
    range: TimeRange.optional(),
    from: acceptedBy(parameters.from).optional(),
    to: acceptedBy(parameters.to).optional(),
    live: z.literal(true).optional(),
    /** The leaf index of the event whose details are shown. */
    event: z.int().min(0).optional(),
  })
  .superRefine(timesOnlyWithCustom('range'));
export type AuditSearch = z.infer<typeof AuditSearch>;

export type TailQuery = Partial<Record<FilterParameter, string>> & { organization_id: string };
export type EventQuery = TailQuery & { from?: string; to?: string };

export function tailQuery(search: AuditSearch, organizationId: string): TailQuery {
  const given = PARAMETERS.flatMap((name) => (search[name] === undefined ? [] : [[name, search[name]]]));
  return { organization_id: organizationId, ...Object.fromEntries(given) };
}

/** @param asOf the time from which presets such as the last hour count back */
export function eventQuery(search: AuditSearch, organizationId: string, asOf: number): EventQuery {
  return { ...tailQuery(search, organizationId), ...timesOf(search, asOf) };
}

function timesOf({ range, from, to }: AuditSearch, asOf: number): Pick<EventQuery, 'from' | 'to'> {
  switch (range) {
    case undefined:
      return {};
    case 'custom':
      return { ...(from && { from }), ...(to && { to }) };
    case 'today':
      return { from: startOfDay(asOf) };
    case 'yesterday':
      return { from: startOfDay(asOf, 1), to: startOfDay(asOf) };
    case 'month':
      return { from: startOfMonth(asOf) };
    case 'last-month':
      return { from: startOfMonth(asOf, 1), to: startOfMonth(asOf) };
    default:
      return { from: new Date(asOf - rangeMs[range]).toISOString() };
  }
}

/** The midnight of the user's time zone before a time, or one some days earlier. */
function startOfDay(at: number, daysBefore = 0): string {
  const day = new Date(at);
  day.setHours(0, 0, 0, 0);
  day.setDate(day.getDate() - daysBefore);
  return day.toISOString();
}

/** The beginning of the month of a time in the user's time zone, or of one some months earlier. */
function startOfMonth(at: number, monthsBefore = 0): string {
  const day = new Date(at);
  return new Date(day.getFullYear(), day.getMonth() - monthsBefore, 1).toISOString();
}

export function isFiltered(search: AuditSearch): boolean {
  return search.range !== undefined || PARAMETERS.some((name) => search[name] !== undefined);
}

/** New events cannot belong to a range that has already ended. */
export function mayFollow({ range, to }: AuditSearch): boolean {
  return range !== 'yesterday' && range !== 'last-month' && (range !== 'custom' || to === undefined);
}

export const noFilters: AuditSearch = Object.fromEntries(
  ['range', 'from', 'to', ...PARAMETERS].map((name) => [name, undefined]),
);

/** The values of a filter that takes several, with commas between them. */
export function listOf(text: string | undefined): string[] {
  return text?.split(',') ?? [];
}
