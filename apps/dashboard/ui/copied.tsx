import { Code, Group } from '@mantine/core';
import { CopyButton } from './copy-button.js';

/** A value that a user copies, such as an id. It breaks anywhere. */
export function Copied({ value, label }: { readonly value: string; readonly label: string }) {
  return (
    <Group component="span" gap={4} wrap="nowrap">
      <Code className="breakable">{value}</Code>
      <CopyButton value={value} label={label} />
    </Group>
  );
}
