import { ActionIcon, CopyButton as MantineCopyButton, VisuallyHidden } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';

interface Props {
  readonly value: string;
  /** What is copied, such as `Copy the public key`. */
  readonly label: string;
}

/** Copies, and says so to everybody. */
export function CopyButton({ value, label }: Props) {
  return (
    <MantineCopyButton value={value} timeout={2000}>
      {({ copied, copy }) => (
        <>
          <ActionIcon variant="subtle" color="gray" size="md" aria-label={label} title={label} onClick={copy}>
            {copied ? <IconCheck size={16} /> : <IconCopy size={16} />}
          </ActionIcon>
          <VisuallyHidden role="status">{copied && 'Copied'}</VisuallyHidden>
        </>
      )}
    </MantineCopyButton>
  );
}
