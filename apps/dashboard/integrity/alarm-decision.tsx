import { Button, Group, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQueryClient } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { saveText } from '../audit/download.js';
import { ConfirmDialog } from '../ui/confirm-dialog.js';
import { forget, remember } from './browser-memory.js';
import { verificationsKey } from './queries.js';
import { afterAcceptance, evidenceOf, withoutAlarm, type Remembered } from './remembered.js';

interface Props {
  readonly organizationId: string;
  /** Null if it cannot be read. */
  readonly remembered: Remembered | null;
}

/** Only a person can end an alarm. */
export function AlarmDecision({ organizationId, remembered }: Props) {
  const queryClient = useQueryClient();
  const verifyAgain = () => void queryClient.resetQueries({ queryKey: verificationsKey(organizationId) });
  return (
    <>
      <Text>
        Ask the people who run this deployment why.
        {remembered?.alarm && ' Keep both checkpoints: others can compare them with theirs.'}
      </Text>
      <Group gap="xs">
        {remembered?.alarm && <WithoutConsequence {...{ organizationId, remembered, verifyAgain }} />}
        {remembered?.alarm?.vkey !== undefined && (
          <Decision
            label="Accept the new key…"
            title="Accept the new key"
            action="Accept"
            onConfirm={() => {
              const accepted = afterAcceptance(remembered, new Date().toISOString());
              if (accepted) remember(organizationId, accepted);
              verifyAgain();
            }}
          >
            This browser then trusts the key that signs now, and demands that every later checkpoint continues this one.
            Whether the log was changed before, it can no longer tell.
          </Decision>
        )}
        <Decision
          label="Forget what this browser remembers…"
          title="Forget what this browser remembers"
          action="Forget"
          onConfirm={() => {
            forget(organizationId);
            verifyAgain();
          }}
        >
          This browser then takes the log as it is now, with the key that comes with it. Whether the log was changed
          before, it can no longer tell.
        </Decision>
      </Group>
    </>
  );
}

interface WithoutConsequenceProps {
  readonly organizationId: string;
  readonly remembered: Remembered;
  readonly verifyAgain: () => void;
}

/** What loses nothing: to keep the evidence, and to verify again with what was remembered. */
function WithoutConsequence({ organizationId, remembered, verifyAgain }: WithoutConsequenceProps) {
  return (
    <>
      <Button
        variant="default"
        size="xs"
        onClick={() => void saveText(`${organizationId}-checkpoints.txt`, evidenceOf(remembered))}
      >
        Download both checkpoints
      </Button>
      <Button
        variant="default"
        size="xs"
        onClick={() => {
          remember(organizationId, withoutAlarm(remembered));
          verifyAgain();
        }}
      >
        Verify again
      </Button>
    </>
  );
}

interface DecisionProps {
  /** Of the button that opens the dialog. */
  readonly label: string;
  readonly title: string;
  readonly action: string;
  readonly onConfirm: () => void;
  /** The consequences. */
  readonly children: ReactNode;
}

function Decision({ label, title, action, onConfirm, children }: DecisionProps) {
  const [opened, dialog] = useDisclosure(false);
  return (
    <>
      <Button variant="default" size="xs" onClick={dialog.open}>
        {label}
      </Button>
      <ConfirmDialog {...{ opened, title, action, onConfirm }} onClose={dialog.close} pending={false} error={null}>
        <Text>{children}</Text>
      </ConfirmDialog>
    </>
  );
}
