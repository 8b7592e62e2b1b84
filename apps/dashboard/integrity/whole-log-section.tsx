import { Alert, Button, Group, Progress as ProgressBar, Stack, Text } from '@mantine/core';
import { IconAlertTriangle, IconInfoCircle, IconShieldCheck } from '@tabler/icons-react';
import { ErrorState } from '../ui/error-state.js';
import { counted, inDigits } from '../ui/format.js';
import { TextLink } from '../ui/links.js';
import { Section } from '../ui/section.js';
import { Time } from '../ui/time.js';
import { reasonOf } from './outcome.js';
import type { WholeResult } from './remembered.js';
import { useWholeLog, type WholeLogVerification } from './use-whole-log.js';

interface Props {
  readonly organizationId: string;
  /** The last result in this browser. */
  readonly whole: WholeResult | undefined;
  /** Whether there is a checkpoint to verify the log with. */
  readonly possible: boolean;
}

/** Verifies every entry of the log in this browser. */
export function WholeLogSection({ organizationId, whole, possible }: Props) {
  const verification = useWholeLog(organizationId);
  const { progress, error, start } = verification;
  return (
    <Section
      title="Whole log"
      description="Downloads every entry, computes the root of the log from them, and compares it with the signed one."
      actions={
        !progress && (
          <Button onClick={start} disabled={!possible}>
            Verify the whole log
          </Button>
        )
      }
    >
      <Stack gap="sm">
        {progress && <Running {...{ verification, progress }} />}
        {!progress && error !== null && <Incomplete error={error} />}
        {!progress && <LastResult {...{ organizationId, whole }} />}
      </Stack>
    </Section>
  );
}

interface RunningProps {
  readonly verification: WholeLogVerification;
  readonly progress: NonNullable<WholeLogVerification['progress']>;
}

function Running({ verification, progress: { next, size, perSecond, locating } }: RunningProps) {
  const { paused, pause, resume, cancel } = verification;
  return (
    <>
      <ProgressBar
        value={size === 0 ? 0 : (next / size) * 100}
        aria-label="Verified entries"
        size="lg"
        // A transition would draw every frame, which takes CPU time from the verification.
        transitionDuration={0}
      />
      <Group justify="space-between" gap="xs">
        <div>
          <Text size="sm">
            {inDigits(next)} of {counted(size, 'entry', 'entries')}
            {paused ? ', paused' : `, ${inDigits(perSecond)} each second`}
          </Text>
          <Text size="sm" c="red" role="status">
            {locating && 'The log is not as it was signed. Looking for the first wrong entry.'}
          </Text>
        </div>
        <Group gap="xs">
          <Button variant="default" size="xs" onClick={paused ? resume : pause}>
            {paused ? 'Continue' : 'Pause'}
          </Button>
          <Button variant="default" size="xs" onClick={cancel}>
            Cancel
          </Button>
        </Group>
      </Group>
    </>
  );
}

function Incomplete({ error }: { readonly error: unknown }) {
  if (reasonOf(error) !== 'not-kept') return <ErrorState error={error} />;
  return (
    <Alert variant="light" color="gray" icon={<IconInfoCircle />} title="Not every entry is kept" role="status">
      Entries were removed at the end of their retention while the log was read. This is no sign of tampering. Verify
      the whole log again.
    </Alert>
  );
}

function LastResult({ organizationId, whole }: Pick<Props, 'organizationId' | 'whole'>) {
  if (!whole) return <Text c="dimmed">This browser has not verified the whole log yet.</Text>;
  const { at, size, fault, leaf_index: index, pruned_below: pruned } = whole;
  if (fault === undefined) {
    return (
      <Alert
        variant="light"
        color="teal"
        icon={<IconShieldCheck />}
        role="status"
        title={
          pruned === undefined ? 'Every entry is as it was signed' : 'Every entry that is kept is as it was signed'
        }
      >
        {pruned === undefined
          ? `All ${inDigits(size)} entries`
          : `The entries ${inDigits(pruned)} to ${inDigits(size - 1)}`}{' '}
        of the checkpoint were verified in this browser, <Time at={at} />.
        {pruned !== undefined &&
          ` The ${counted(pruned, 'entry', 'entries')} before are no longer kept: their hashes lead to the signed root, but what they said can no longer be verified.`}
      </Alert>
    );
  }
  return (
    <Alert
      variant="light"
      color="red"
      icon={<IconAlertTriangle />}
      role="alert"
      title="The log is not as it was signed"
    >
      <Text>
        {fault}. Found <Time at={at} /> among {counted(size, 'entry', 'entries')}.
      </Text>
      {index !== undefined && (
        <TextLink to="/org/$organizationId/audit" params={{ organizationId }} search={{ event: index }}>
          Show event {inDigits(index)}
        </TextLink>
      )}
    </Alert>
  );
}
