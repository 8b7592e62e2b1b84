import { Box, Code, Skeleton, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { AuditEvent } from '#libs/contract/audit.js';
import { toBase64 } from '#libs/tlog/bytes.js';
import { latestQuery } from '../integrity/queries.js';
import { inDigits } from '../ui/format.js';
import { sentenceOf } from '../ui/error-state.js';
import { fullTime } from './event-time.js';

interface Props {
  readonly organizationId: string;
  readonly entries: readonly AuditEvent[];
}

/** The checkpoint that this browser verified after it had read the entries: it covers all of them. */
export function ReportProof({ organizationId, entries }: Props) {
  const { data: verified, error, isFetching } = useQuery({ ...latestQuery(organizationId), refetchOnMount: 'always' });
  // An earlier checkpoint may not cover the newest entries.
  const data = isFetching ? undefined : verified;
  return (
    <section aria-labelledby="report-proof">
      <Title order={2} id="report-proof" mb="xs">
        Proof
      </Title>
      {!data && !error && <Skeleton height={80} />}
      {error && <Text>No checkpoint could be verified when this report was made. {sentenceOf(error)}</Text>}
      {data && (
        <>
          <Text mb="xs">{coverage(entries, data.checkpoint.size)}</Text>
          <Box component="dl" className="report-facts">
            <dt>Entries</dt>
            <dd>{inDigits(data.checkpoint.size)}</dd>
            <dt>Root</dt>
            <dd>
              <Code className="breakable">{toBase64(data.checkpoint.root)}</Code>
            </dd>
            <dt>Origin</dt>
            <dd>{data.checkpoint.origin}</dd>
            <dt>Signing key</dt>
            <dd>
              <Code className="breakable">{data.vkey}</Code>
            </dd>
            <dt>Verified at</dt>
            <dd>{fullTime(data.at)}</dd>
            <dt>To verify</dt>
            <dd>
              <Code className="breakable">
                keyledger audit verify --url {window.location.origin} --organization {organizationId} --vkey {data.vkey}
              </Code>
            </dd>
          </Box>
        </>
      )}
    </section>
  );
}

function coverage(entries: readonly AuditEvent[], size: number): string {
  const last = Math.max(-1, ...entries.map(({ leaf_index: index }) => index));
  return last < size
    ? 'This browser verified the signature of the checkpoint below, and that it continues every checkpoint that it verified before. All entries of this report are among those that the checkpoint covers.'
    : `The checkpoint below does not cover the entries from number ${inDigits(size)} on yet.`;
}
