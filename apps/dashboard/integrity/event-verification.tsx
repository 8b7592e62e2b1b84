import { Alert, Button, Group, Loader, Text } from '@mantine/core';
import { IconAlertTriangle, IconInfoCircle, IconShieldCheck } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { ProofError } from '#libs/tlog/proof-error.js';
import { saveText } from '../audit/download.js';
import { fullTime } from '../audit/event-time.js';
import { sentenceOf } from '../ui/error-state.js';
import { counted, inDigits } from '../ui/format.js';
import { TextLink } from '../ui/links.js';
import { useRemembered } from './browser-memory.js';
import { reasonOf, type Reason } from './outcome.js';
import { eventQuery } from './queries.js';
import type { VerifiedEvent } from './verify.js';

interface Props {
  readonly organizationId: string;
  readonly index: number;
  /** The event as the page shows it. */
  readonly text: string;
}

/** Whether this browser verified an event, and from which checkpoint. */
export function EventVerification({ organizationId, index, text }: Props) {
  const remembered = useRemembered(organizationId);
  const alarm = remembered instanceof ProofError ? remembered : (remembered?.alarm ?? null);
  const { data, error, refetch } = useQuery({ ...eventQuery(organizationId, index, text), enabled: alarm === null });
  const link = (
    <TextLink to="/org/$organizationId/integrity" params={{ organizationId }} size="sm">
      Integrity of the log
    </TextLink>
  );
  if (alarm) {
    const detail = alarm instanceof ProofError ? alarm.message : alarm.detail;
    return (
      <NotVerified reason="wrong" title="The log does not continue what this browser verified" {...{ detail, link }} />
    );
  }
  if (error) {
    const reason = reasonOf(error);
    return (
      <NotVerified
        reason={reason}
        title={titles[reason]}
        detail={details[reason] ?? sentenceOf(error)}
        link={link}
        onRetry={() => void refetch()}
      />
    );
  }
  if (!data) {
    return (
      <Group gap="xs" role="status">
        <Loader size={14} />
        <Text size="sm">Verifying in this browser</Text>
      </Group>
    );
  }
  return <VerifiedHere {...{ organizationId, index, link }} verified={data} />;
}

const titles: Record<Reason, string> = {
  wrong: 'This event is not as it was signed',
  unavailable: 'Not verified: no checkpoint can be signed now',
  'not-yet': 'Not in a checkpoint yet',
  'not-kept': 'No longer kept',
  forbidden: 'Your role cannot read the proofs of this log',
  failed: 'Not verified',
};

/** The texts that say more than the API does. */
const details: Partial<Record<Reason, string>> = {
  'not-yet': 'The event is stored. The next checkpoint covers it.',
  'not-kept': 'The entry was removed at the end of its retention. This is no sign of tampering.',
};

interface VerifiedHereProps {
  readonly organizationId: string;
  readonly index: number;
  readonly verified: VerifiedEvent;
  readonly link: ReactNode;
}

function VerifiedHere({ organizationId, index, verified: { checkpoint, at, receipt }, link }: VerifiedHereProps) {
  return (
    <Alert
      variant="light"
      color="teal"
      icon={<IconShieldCheck />}
      title="Verified in this browser"
      role="status"
      aria-label="Verification"
    >
      <Text size="sm">
        Leaf {inDigits(index)} of the checkpoint of {counted(checkpoint.size, 'entry', 'entries')},{' '}
        <time dateTime={at}>{fullTime(at)}</time>
      </Text>
      <Group gap="sm" mt="xs">
        <Button
          variant="default"
          size="xs"
          onClick={() => void saveText(`${organizationId}-event-${index}.tlog-proof`, receipt)}
        >
          Download the receipt
        </Button>
        {link}
      </Group>
    </Alert>
  );
}

interface NotVerifiedProps {
  readonly reason: Reason;
  readonly title: string;
  readonly detail: string;
  readonly link: ReactNode;
  readonly onRetry?: () => void;
}

function NotVerified({ reason, title, detail, link, onRetry }: NotVerifiedProps) {
  const wrong = reason === 'wrong';
  return (
    <Alert
      variant="light"
      color={wrong ? 'red' : 'gray'}
      icon={wrong ? <IconAlertTriangle /> : <IconInfoCircle />}
      title={title}
      role={wrong ? 'alert' : 'status'}
    >
      <Text size="sm" className="breakable">
        {wrong ? `${detail}.` : detail}
      </Text>
      <Group gap="sm" mt="xs">
        {onRetry && reason !== 'not-kept' && (
          <Button variant="default" size="xs" onClick={onRetry}>
            Verify again
          </Button>
        )}
        {link}
      </Group>
    </Alert>
  );
}
