import { Alert, Button, Code, CopyButton, Group, Stack, Text } from '@mantine/core';
import { IconCheck, IconCopy, IconLink } from '@tabler/icons-react';
import { useState, type ReactNode } from 'react';
import { FormDialog } from './form-dialog.js';
import { Time } from './time.js';

interface DialogProps {
  readonly opened: boolean;
  readonly onClose: () => void;
  readonly title: string;
  /** The form that makes the link, and then the link. */
  readonly children: (onMade: () => void, close: () => void) => ReactNode;
}

/** The link is shown only once, so neither Escape nor a click outside the dialog closes it. */
export function OneTimeLinkDialog({ opened, onClose, title, children }: DialogProps) {
  const [made, setMade] = useState(false);
  return (
    <FormDialog
      opened={opened}
      onClose={onClose}
      onExitTransitionEnd={() => setMade(false)}
      title={made ? 'Send this link' : title}
      closeOnEscape={!made}
      closeOnClickOutside={!made}
    >
      {(close) => children(() => setMade(true), close)}
    </FormDialog>
  );
}

interface Props {
  readonly url: string;
  readonly expiresAt: string;
  /** Explains who should get the link and what it does. */
  readonly children: ReactNode;
  readonly onDone: () => void;
}

/** A link that is shown once and kept only in memory. */
export function OneTimeLink({ url, expiresAt, children, onDone }: Props) {
  return (
    <Stack>
      <Text>{children}</Text>
      <Code block className="one-time-link" aria-label="One-time link" tabIndex={0}>
        {url}
      </Code>
      <Alert variant="light" color="yellow" icon={<IconLink />} p="sm">
        It is shown only now, works once, and expires <Time at={expiresAt} exact />.
      </Alert>
      <Group justify="flex-end">
        <Button variant="default" onClick={onDone}>
          Done
        </Button>
        <CopyButton value={url} timeout={2000}>
          {({ copied, copy }) => (
            <Button
              onClick={copy}
              leftSection={copied ? <IconCheck size={16} /> : <IconCopy size={16} />}
              aria-live="polite"
              data-autofocus
            >
              {copied ? 'Copied' : 'Copy the link'}
            </Button>
          )}
        </CopyButton>
      </Group>
    </Stack>
  );
}
