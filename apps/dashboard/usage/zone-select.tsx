import { Select } from '@mantine/core';
import { localZone } from './usage-period.js';

interface Props {
  /** Undefined for the time zone of the browser. */
  readonly value: string | undefined;
  readonly onChange: (zone: string | undefined) => void;
}

/** The time zone whose days are counted. */
export function ZoneSelect({ value = localZone, onChange }: Props) {
  const zones = new Set([localZone, 'UTC', value, ...Intl.supportedValuesOf('timeZone')]);
  return (
    <Select
      aria-label="Time zone"
      w={190}
      data={[...zones]}
      value={value}
      allowDeselect={false}
      onChange={(zone) => onChange(zone === localZone ? undefined : (zone ?? undefined))}
      searchable
      nothingFoundMessage="No time zone found"
    />
  );
}
