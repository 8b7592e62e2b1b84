import { ActionIcon, VisuallyHidden } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import { IconCheck, IconCopy, IconCopyX } from '@tabler/icons-react';
import { useEffect, useEffectEvent } from 'react';

interface Props {
  readonly value: string;
  /** The accessible name, such as `Copy the public key`. */
  readonly label: string;
  readonly onCopied?: (() => void) | undefined;
}

/** Copies a text and announces the result. Copying fails without TLS, where browsers refuse it. */
export function CopyButton({ value, label, onCopied }: Props) {
  const { copied, copy, error } = useClipboard();
  const tell = useEffectEvent(() => onCopied?.());
  useEffect(() => {
    if (copied) tell();
  }, [copied]);
  const title = error ? 'The browser blocked copying. Select the text and copy it yourself.' : label;
  return (
    <>
      <ActionIcon variant="subtle" color="gray" size="md" aria-label={label} title={title} onClick={() => copy(value)}>
        {copied && <IconCheck size={16} />}
        {!copied && (error ? <IconCopyX size={16} /> : <IconCopy size={16} />)}
      </ActionIcon>
      <VisuallyHidden role="status">{copied ? 'Copied' : error && title}</VisuallyHidden>
    </>
  );
}
