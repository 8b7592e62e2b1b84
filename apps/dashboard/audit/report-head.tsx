import { Box } from '@mantine/core';
import { localZone } from '../usage/usage-period.js';
import { eventQuery, listOf, type AuditSearch } from './audit-search.js';
import { fullTime } from './event-time.js';
import { chipsOf, detailNames, useFilterWords } from './filter-words.js';

interface Props {
  readonly organizationId: string;
  readonly search: AuditSearch;
  readonly asOf: number;
  readonly madeBy: string;
}

/** What was asked, by whom and when. */
export function ReportHead({ organizationId, search, asOf, madeBy }: Props) {
  const { from, to } = eventQuery(search, organizationId, asOf);
  const chips = chipsOf(search);
  const wordsOf = useFilterWords(organizationId, chips);
  const filters = [
    ...(search.search ? [`Text: ${search.search}`] : []),
    ...(search.type ? [`Type: ${listOf(search.type).join(', ')}`] : []),
    ...chips.map((chip) => `${detailNames[chip.name]}${chip.isExcluded ? ' is not ' : ': '}${wordsOf(chip)}`),
  ];
  const now = new Date(asOf).toISOString();
  return (
    <Box component="dl" className="report-facts">
      <dt>Organization</dt>
      <dd>{organizationId}</dd>
      <dt>Filter</dt>
      <dd>{filters.length === 0 ? 'None: every event' : filters.map((filter) => <div key={filter}>{filter}</div>)}</dd>
      <dt>Range</dt>
      <dd>
        {from ? `From ${fullTime(from)}` : 'From the oldest event'} until {fullTime(to ?? now)}
      </dd>
      <dt>Time zone</dt>
      <dd>{localZone}</dd>
      <dt>Made by</dt>
      <dd>{madeBy}</dd>
      <dt>Made at</dt>
      <dd>{fullTime(now)}</dd>
      <dt>Made with</dt>
      <dd>{window.location.origin}</dd>
    </Box>
  );
}
