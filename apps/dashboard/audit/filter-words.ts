import { useQuery } from '@tanstack/react-query';
import type { AuditFilterName } from '#libs/contract/audit.js';
import { isNamedId } from '#libs/contract/audit-names.js';
import { VerificationCode } from '#libs/contract/verification.js';
import { outcomeWords } from '../ui/outcomes.js';
import { listOf, opposite, type AuditSearch, type TimeRange } from './audit-search.js';
import { chosenNamesQuery, shortId } from './names.js';

/** The filters besides the time, with the same names as in the API. */
export const detailNames: Record<AuditFilterName, string> = {
  type: 'Type',
  actor_id: 'Who',
  key_id: 'Key',
  subject: 'About',
  outcome: 'Outcome',
  ip: 'Address',
  path: 'Path',
  secret_id: 'Secret',
  project_id: 'Project',
  verified_by: 'Verified by',
  request_id: 'Request',
  user_agent: 'Client',
  search: 'Text',
};
const details = Object.keys(detailNames) as AuditFilterName[];

interface Chip {
  readonly name: AuditFilterName;
  readonly isExcluded: boolean;
  readonly value: string;
}

/** The types and the text that are wanted are in fields of their own. */
export function chipsOf(search: AuditSearch): Chip[] {
  return details.flatMap((name) => {
    const { [name]: wanted, [opposite(name)]: unwanted } = search;
    return [
      ...(wanted === undefined || name === 'type' || name === 'search'
        ? []
        : [{ name, isExcluded: false, value: wanted }]),
      ...(unwanted === undefined ? [] : [{ name, isExcluded: true, value: unwanted }]),
    ];
  });
}

/** Says what a filter compares with. Ids become names. */
export function useFilterWords(organizationId: string, chips: readonly Chip[]): (chip: Chip) => string {
  const ids = chips.flatMap(({ name, value }) => (NAMED.has(name) && isNamedId(value) ? [value] : []));
  const { data: names, isLoading } = useQuery(chosenNamesQuery(organizationId, ids));
  const called = (id: string) => names?.find((named) => named.id === id)?.name ?? (isLoading ? '…' : shortId(id));
  return ({ name, value }) => detailWords(name, value, called);
}

function detailWords(name: AuditFilterName, value: string, nameOf: (id: string) => string): string {
  if (name === 'outcome')
    return listOf(value)
      .map((code) => outcomeWords[VerificationCode.parse(code)])
      .join(', ');
  return NAMED.has(name) ? nameOf(value) : value;
}

/** The filters whose values have names. */
const NAMED: ReadonlySet<AuditFilterName> = new Set(['actor_id', 'key_id', 'subject', 'project_id', 'verified_by']);

export const rangeLabels: Record<TimeRange, string> = {
  '1h': 'Last hour',
  '24h': 'Last 24 hours',
  today: 'Today',
  yesterday: 'Yesterday',
  '7d': 'Last 7 days',
  '30d': 'Last 30 days',
  '90d': 'Last 90 days',
  month: 'This month',
  'last-month': 'Last month',
  custom: 'Custom period',
};
