import './report.css';
import { Button, Group, Skeleton, Stack, Text, Title } from '@mantine/core';
import { IconPrinter } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { useOrganization } from '../organization/organizations.js';
import { useMe } from '../session/me.js';
import { inDigits } from '../ui/format.js';
import { ErrorState } from '../ui/error-state.js';
import { ButtonLink } from '../ui/links.js';
import { PageHeader } from '../ui/page-header.js';
import { fullTime } from './event-time.js';
import { useNames } from './names.js';
import { isForbidden, NotForYou } from './not-for-you.js';
import { MOST_ENTRIES, reportQuery, type Report } from './report.js';
import { ReportEntries } from './report-entries.js';
import { ReportHead } from './report-head.js';
import { ReportProof } from './report-proof.js';
import { SummaryTable } from './summary-table.js';
import { useAuditSearch } from './use-audit-search.js';
import { useSummary } from './use-summary.js';

/** What a query finds in the audit log, for paper and PDF: who asked what and when, the counts, the entries, the proof. */
export function ReportPage() {
  const { organizationId } = useParams({ from: '/shell/org/$organizationId/audit/report' });
  const { search } = useAuditSearch();
  const { organization } = useOrganization(organizationId);
  const me = useMe();
  const [asOf] = useState(Date.now);
  const { data, error, refetch } = useQuery(reportQuery(search, organizationId, asOf));
  if (isForbidden(error)) return <NotForYou organizationId={organizationId} />;
  return (
    <article className="report">
      <PageHeader
        title="Audit report"
        description={`${organization?.name ?? organizationId}, ${fullTime(new Date(asOf).toISOString())}`}
        actions={
          <Group gap="xs" className="report-actions">
            <ButtonLink variant="default" to="/org/$organizationId/audit" params={{ organizationId }} search={search}>
              Back to the log
            </ButtonLink>
            <Button leftSection={<IconPrinter size={16} />} disabled={!data} onClick={() => window.print()}>
              Print or save as PDF
            </Button>
          </Group>
        }
      />
      <Stack>
        <ReportHead {...{ organizationId, search, asOf }} madeBy={`${me.name} (${me.email})`} />
        <ErrorState error={error} onRetry={() => void refetch()} />
        {!data && !error && <Skeleton height={320} />}
        {data && <Found {...{ organizationId, data }} />}
      </Stack>
    </article>
  );
}

interface FoundProps {
  readonly organizationId: string;
  readonly data: Report;
}

/** Everything appears at once, because the height of the counts depends on what they count. */
function Found({ organizationId, data }: FoundProps) {
  const nameOf = useNames(organizationId);
  const summary = useSummary(data.query);
  if (!summary.counted && !summary.error) return <Skeleton height={320} />;
  return (
    <>
      <Counts {...summary} />
      <ReportProof organizationId={organizationId} entries={data.entries} />
      <section aria-labelledby="report-entries">
        <Title order={2} id="report-entries" mb="xs">
          Entries
        </Title>
        {!data.isComplete && (
          <Text mb="xs">
            The newest {inDigits(MOST_ENTRIES)} entries. For all of them, narrow the filter or export the log.
          </Text>
        )}
        <ReportEntries entries={data.entries.slice(0, MOST_ENTRIES)} nameOf={nameOf} />
      </section>
    </>
  );
}

function Counts({ counted, error, isComplete, isCounting, goOn, retry }: ReturnType<typeof useSummary>) {
  return (
    <section aria-labelledby="report-counts">
      <Title order={2} id="report-counts" mb="xs">
        Counts
      </Title>
      <ErrorState error={error} onRetry={retry} />
      <Text role="status" mb="xs">
        {counted && `Matching events: ${isComplete ? '' : 'at least '}${inDigits(counted.events)}.`}
        {isCounting && ' Counting'}
      </Text>
      {counted && counted.events > 0 && <SummaryTable counts={counted.byType} />}
      {!isComplete && !isCounting && !error && (
        <Button variant="default" size="xs" mt="sm" className="report-actions" onClick={goOn}>
          Count older events
        </Button>
      )}
    </section>
  );
}
