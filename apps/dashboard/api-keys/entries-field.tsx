import { ActionIcon, Button, Group, Input, Stack, Text } from '@mantine/core';
import { IconPlus, IconTrash } from '@tabler/icons-react';
import type { ReactNode } from 'react';

export interface FieldProps<T> {
  readonly value: T;
  readonly onChange: (value: T) => void;
  readonly error?: ReactNode;
  readonly disabled?: boolean;
}

interface Props<T> extends FieldProps<readonly T[]> {
  readonly label: string;
  readonly description: string;
  /** The name of one entry, with its article. */
  readonly one: readonly [article: 'a' | 'an', noun: string];
  readonly most: number;
  readonly newEntry: () => T;
  /** The inputs of one entry. */
  readonly children: (entry: T, set: (changes: Partial<T>) => void, at: number) => ReactNode;
}

/** A list of entries, each a row with several inputs. */
export function EntriesField<T>(props: Props<T>) {
  const { label, description, error, value, onChange, disabled, one, most, newEntry, children } = props;
  const [article, noun] = one;
  return (
    <Input.Wrapper labelElement="div" label={label} description={description} error={error}>
      <Stack gap={6} mt={4} align="flex-start">
        {value.map((entry, at) => (
          <Group key={at} gap={6} wrap="nowrap" w="100%">
            {children(entry, (changes) => onChange(value.with(at, { ...entry, ...changes })), at)}
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-label={`Remove ${noun} ${at + 1}`}
              disabled={disabled}
              onClick={() => onChange(value.filter((_, index) => index !== at))}
            >
              <IconTrash size={16} />
            </ActionIcon>
          </Group>
        ))}
        {!disabled && value.length < most && (
          <Button
            variant="default"
            size="compact-sm"
            leftSection={<IconPlus size={14} />}
            onClick={() => onChange([...value, newEntry()])}
          >
            Add {article} {noun}
          </Button>
        )}
        {disabled && value.length === 0 && <Text c="dimmed">None</Text>}
      </Stack>
    </Input.Wrapper>
  );
}
