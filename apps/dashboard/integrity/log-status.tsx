import { Alert, Group, Loader, Stack, Text } from '@mantine/core';
import { IconAlertTriangle, IconInfoCircle, IconShieldCheck } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { sentenceOf, ErrorState } from '../ui/error-state.js';
import { counted } from '../ui/format.js';
import { Time } from '../ui/time.js';
import { AlarmDecision } from './alarm-decision.js';
import type { LogState } from './outcome.js';
import type { Remembered } from './remembered.js';

interface Props {
  readonly organizationId: string;
  readonly state: LogState;
  readonly remembered: Remembered | null;
  readonly onRetry: () => void;
}

/** How the log stands, in one sentence, and what to do. */
export function LogStatus({ organizationId, state, remembered, onRetry }: Props) {
  switch (state.state) {
    case 'verifying':
      return (
        <Group gap="xs" role="status">
          <Loader size={14} />
          <Text>Verifying the latest checkpoint in this browser</Text>
        </Group>
      );
    case 'verified':
      return <VerifiedLog remembered={remembered} />;
    case 'alarm':
      return (
        <Wrong title="The log does not continue what this browser verified">
          <Text>{state.remembered.alarm?.detail}.</Text>
          <AlarmDecision organizationId={organizationId} remembered={state.remembered} />
        </Wrong>
      );
    case 'unreadable':
      return (
        <Wrong title="What this browser remembered cannot be read">
          <Text>Without it, this browser cannot tell whether the log continues what it verified before.</Text>
          <AlarmDecision organizationId={organizationId} remembered={null} />
        </Wrong>
      );
    case 'wrong':
      return (
        <Wrong title="The checkpoint is not valid">
          <Text>{sentenceOf(state.error)}.</Text>
        </Wrong>
      );
    case 'wrong-entry':
      return (
        <Wrong title="The log is not as it was signed">
          <Text>{state.whole.fault}.</Text>
          <Text>Verify the whole log again, after the people who run this deployment have said why.</Text>
        </Wrong>
      );
    case 'unavailable':
      return (
        <Alert
          variant="light"
          color="orange"
          icon={<IconInfoCircle />}
          title="No checkpoint can be signed now"
          role="status"
        >
          <Text>{sentenceOf(state.error)}</Text>
          <Text mt={4}>Events are recorded as before. Nothing can be verified until a checkpoint is signed.</Text>
        </Alert>
      );
    default:
      return <ErrorState error={state.error} onRetry={onRetry} />;
  }
}

function VerifiedLog({ remembered }: { readonly remembered: Remembered | null }) {
  if (!remembered) return null;
  return (
    <Alert variant="light" color="teal" icon={<IconShieldCheck />} title="Verified in this browser" role="status">
      <Text>
        The checkpoint of {counted(remembered.size, 'entry', 'entries')} is signed with the key that this browser
        remembers, and continues every checkpoint that this browser verified. Last verification:{' '}
        <Time at={remembered.verified_at} />.
      </Text>
    </Alert>
  );
}

function Wrong({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <Alert variant="light" color="red" icon={<IconAlertTriangle />} title={title} role="alert">
      <Stack gap="xs" className="breakable">
        {children}
      </Stack>
    </Alert>
  );
}
