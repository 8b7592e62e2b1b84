import '../audit/audit.css';
import { Button, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { ProofError } from '#libs/tlog/proof-error.js';
import { NotForYou } from '../audit/not-for-you.js';
import { PageHeader } from '../ui/page-header.js';
import { AuditorCommands } from './auditor-commands.js';
import { useRemembered } from './browser-memory.js';
import { CheckpointSection } from './checkpoint-section.js';
import { LogStatus } from './log-status.js';
import { logStateOf, reasonOf } from './outcome.js';
import { latestQuery, witnessesQuery } from './queries.js';
import { WhatIsProven } from './what-is-proven.js';
import { WholeLogSection } from './whole-log-section.js';

export function IntegrityPage() {
  const { organizationId } = useParams({ from: '/shell/org/$organizationId/integrity' });
  return <Integrity key={organizationId} organizationId={organizationId} />;
}

/** What this browser knows of the audit log of an organization, and how to know more. */
function Integrity({ organizationId }: { readonly organizationId: string }) {
  const stored = useRemembered(organizationId);
  const remembered = stored instanceof ProofError ? null : stored;
  const isHalted = stored instanceof ProofError || remembered?.alarm !== undefined;
  const latest = useQuery({ ...latestQuery(organizationId), enabled: !isHalted });
  const witnesses = useQuery({ ...witnessesQuery(organizationId), enabled: remembered !== null });
  const state = logStateOf(stored, latest);
  // A section that is shown later than others would move those below it.
  const isComplete = state.state !== 'verifying' && (remembered === null || !witnesses.isPending);
  if (latest.error && reasonOf(latest.error) === 'forbidden') return <NotForYou organizationId={organizationId} />;
  return (
    <>
      <PageHeader
        title="Integrity"
        description="Whether the audit log is as it was signed, as this browser verified it."
        actions={
          <Button
            variant="default"
            disabled={isHalted}
            loading={latest.isFetching}
            onClick={() => void latest.refetch()}
          >
            Check again
          </Button>
        }
      />
      <Stack>
        <LogStatus {...{ organizationId, state, remembered }} onRetry={() => void latest.refetch()} />
        {isComplete && (
          <>
            {remembered && <CheckpointSection {...{ organizationId, remembered }} />}
            <WholeLogSection
              organizationId={organizationId}
              whole={remembered?.whole}
              possible={!isHalted && state.state !== 'unavailable'}
            />
            <WhatIsProven />
            <AuditorCommands organizationId={organizationId} vkey={remembered?.vkey} />
          </>
        )}
      </Stack>
    </>
  );
}
