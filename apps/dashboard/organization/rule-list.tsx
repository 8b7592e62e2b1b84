import { List, type ListProps } from '@mantine/core';

interface Props {
  /** The rules of a key policy, each as a sentence. */
  readonly rules: readonly string[];
  readonly size?: ListProps['size'];
}

export function RuleList({ rules, size }: Props) {
  return (
    <List {...(size && { size })}>
      {rules.map((rule) => (
        <List.Item key={rule} style={{ overflowWrap: 'anywhere' }}>
          {rule}
        </List.Item>
      ))}
    </List>
  );
}
