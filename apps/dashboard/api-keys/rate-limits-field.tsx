import { Select, Text, TextInput } from '@mantine/core';
import { MAX_LIMIT, MAX_RATE_LIMITS } from '#libs/contract/rate-limits.js';
import { WholeNumberInput } from '../ui/whole-number-input.js';
import { EntriesField, type FieldProps } from './entries-field.js';
import type { RateLimitEntry } from './key-form.js';

/** Common windows, each with its default name. */
const presets = [
  { name: 'per-second', seconds: 1, label: 'second' },
  { name: 'per-minute', seconds: 60, label: 'minute' },
  { name: 'per-hour', seconds: 3_600, label: 'hour' },
  { name: 'per-day', seconds: 86_400, label: 'day' },
  { name: 'per-30-days', seconds: 2_592_000, label: '30 days' },
];

export function rateLimitInWords({ name, limit, window_seconds: seconds }: RateLimitEntry): string {
  return `${name}: ${limit} per ${windowInWords(seconds)}`;
}

function windowInWords(seconds: number): string {
  return presets.find((preset) => preset.seconds === seconds)?.label ?? `${seconds} seconds`;
}

/** Limit, window and name of each rate limit. */
export function RateLimitsField(props: FieldProps<readonly RateLimitEntry[]>) {
  const isTaken = (name: string) => props.value.some((entry) => entry.name === name);
  const newEntry = () => {
    const preset = presets.slice(1).find(({ name }) => !isTaken(name));
    return { name: preset?.name ?? '', limit: 100, window_seconds: preset?.seconds ?? 60 };
  };
  return (
    <EntriesField
      {...props}
      label="Rate limits"
      description="Units that the key may use in each window. All limits apply. If empty, the rate is not limited."
      one={['a', 'limit']}
      most={MAX_RATE_LIMITS}
      newEntry={newEntry}
    >
      {(entry, set, at) => <LimitInputs {...{ entry, set, at, isTaken }} disabled={props.disabled} />}
    </EntriesField>
  );
}

interface InputsProps {
  readonly entry: RateLimitEntry;
  readonly set: (changes: Partial<RateLimitEntry>) => void;
  readonly at: number;
  readonly disabled: boolean | undefined;
  readonly isTaken: (name: string) => boolean;
}

function LimitInputs({ entry, set, at, disabled, isTaken }: InputsProps) {
  return (
    <>
      <WholeNumberInput
        aria-label={`Units of limit ${at + 1}`}
        flex={2}
        min={1}
        max={MAX_LIMIT}
        value={entry.limit}
        disabled={disabled}
        onChange={(limit) => set({ limit })}
      />
      <Text size="sm" c="dimmed">
        per
      </Text>
      <Select
        aria-label={`Window of limit ${at + 1}`}
        flex={2}
        allowDeselect={false}
        data={windowChoices(entry)}
        value={String(entry.window_seconds)}
        disabled={disabled}
        onChange={(seconds) => set(withWindow(entry, Number(seconds), isTaken))}
      />
      <TextInput
        aria-label={`Name of limit ${at + 1}`}
        placeholder="per-minute"
        flex={2}
        maxLength={40}
        autoComplete="off"
        value={entry.name}
        disabled={disabled}
        onChange={(event) => set({ name: event.currentTarget.value })}
      />
    </>
  );
}

/** A window that is not among the presets remains an option. */
function windowChoices({ window_seconds: chosen }: RateLimitEntry) {
  return [...new Set([...presets.map(({ seconds }) => seconds), chosen])].map((seconds) => ({
    value: String(seconds),
    label: windowInWords(seconds),
  }));
}

/** If the name is the default of the old window, changes it to that of the new one. */
function withWindow(
  { name, window_seconds: before }: RateLimitEntry,
  seconds: number,
  isTaken: (name: string) => boolean,
): Partial<RateLimitEntry> {
  const after = presets.find((preset) => preset.seconds === seconds);
  const follows = presets.some((preset) => preset.name === name && preset.seconds === before);
  return { window_seconds: seconds, ...(follows && after && !isTaken(after.name) && { name: after.name }) };
}
