import { ActionIcon, Button, Group, Input, NumberInput, Select, Stack, Text, TextInput } from '@mantine/core';
import { IconPlus, IconTrash } from '@tabler/icons-react';
import type { FieldProps } from './key-fields.js';
import type { RateLimitEntry } from './key-form.js';

/** The windows that most people want, each with the name that goes with it. */
const presets = [
  { name: 'per-second', seconds: 1, label: 'second' },
  { name: 'per-minute', seconds: 60, label: 'minute' },
  { name: 'per-hour', seconds: 3_600, label: 'hour' },
  { name: 'per-day', seconds: 86_400, label: 'day' },
  { name: 'per-30-days', seconds: 2_592_000, label: '30 days' },
];
const MOST = 10;

export function rateLimitInWords({ name, limit, window_seconds: seconds }: RateLimitEntry): string {
  return `${name}: ${limit} per ${windowInWords(seconds)}`;
}

function windowInWords(seconds: number): string {
  return presets.find((preset) => preset.seconds === seconds)?.label ?? `${seconds} seconds`;
}

/** How much, in how long, and what it is called. A window that is none of ours stays to be chosen. */
export function RateLimitsField({ value, onChange, error, disabled }: FieldProps<readonly RateLimitEntry[]>) {
  const set = (at: number, changes: Partial<RateLimitEntry>) =>
    onChange(value.map((entry, index) => (index === at ? { ...entry, ...changes } : entry)));
  const isTaken = (name: string) => value.some((entry) => entry.name === name);
  /** A name that only tells the window goes along with it. */
  const setWindow = (at: number, seconds: number) => {
    const { name, window_seconds: before } = value[at]!;
    const after = presets.find((preset) => preset.seconds === seconds);
    const follows = presets.some((preset) => preset.name === name && preset.seconds === before);
    set(at, { window_seconds: seconds, ...(follows && after && !isTaken(after.name) && { name: after.name }) });
  };
  const add = () => {
    const preset = presets.slice(1).find(({ name }) => !isTaken(name));
    onChange([...value, { name: preset?.name ?? '', limit: 100, window_seconds: preset?.seconds ?? 60 }]);
  };
  return (
    <Input.Wrapper
      labelElement="div"
      label="Rate limits"
      description="How much the key may be used in any such time, all limits at once. None: as much as one likes."
      error={error}
    >
      <Stack gap={6} mt={4} align="flex-start">
        {value.map((entry, at) => (
          <Group key={at} gap={6} wrap="nowrap" w="100%">
            <NumberInput
              aria-label={`How much by limit ${at + 1}`}
              flex={2}
              min={1}
              max={1_000_000_000}
              allowDecimal={false}
              allowNegative={false}
              thousandSeparator=","
              hideControls
              value={entry.limit}
              disabled={disabled}
              onChange={(limit) => set(at, { limit })}
            />
            <Text size="sm" c="dimmed">
              per
            </Text>
            <Select
              aria-label={`Window of limit ${at + 1}`}
              flex={2}
              allowDeselect={false}
              data={[...new Set([...presets.map(({ seconds }) => seconds), entry.window_seconds])].map((seconds) => ({
                value: String(seconds),
                label: windowInWords(seconds),
              }))}
              value={String(entry.window_seconds)}
              disabled={disabled}
              onChange={(seconds) => setWindow(at, Number(seconds))}
            />
            <TextInput
              aria-label={`Name of limit ${at + 1}`}
              placeholder="per-minute"
              flex={2}
              maxLength={40}
              autoComplete="off"
              value={entry.name}
              disabled={disabled}
              onChange={(event) => set(at, { name: event.currentTarget.value })}
            />
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-label={`Remove limit ${at + 1}`}
              disabled={disabled}
              onClick={() => onChange(value.filter((_, index) => index !== at))}
            >
              <IconTrash size={16} />
            </ActionIcon>
          </Group>
        ))}
        {!disabled && value.length < MOST && (
          <Button variant="default" size="compact-sm" leftSection={<IconPlus size={14} />} onClick={add}>
            Add a limit
          </Button>
        )}
        {disabled && value.length === 0 && <Text c="dimmed">None</Text>}
      </Stack>
    </Input.Wrapper>
  );
}
