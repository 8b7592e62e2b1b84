import { Button, Group, MultiSelect, Pill, Popover, Select, Stack, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconFilter } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { KeyboardEvent } from 'react';
import type { AuditFilterName } from '#libs/contract/audit.js';
import { isId } from '#libs/contract/ids.js';
import { VerificationCode } from '#libs/contract/verification.js';
import { outcomeWords } from '../ui/outcomes.js';
import { listOf, noFilters, opposite, TimeRange, type AuditSearch } from './audit-search.js';
import { typeChoices } from './event-types.js';
import { FilterDetails } from './filter-details.js';
import { chosenNamesQuery, shortId } from './names.js';

interface Props {
  readonly organizationId: string;
  readonly search: AuditSearch;
  readonly onChange: (patch: Partial<AuditSearch>) => void;
}

/** The filters besides the time, with the same names as in the API. */
const detailNames: Record<AuditFilterName, string> = {
  type: 'Type',
  actor_id: 'Who',
  key_id: 'Key',
  subject: 'About',
  outcome: 'Outcome',
  ip: 'Address',
  path: 'Path',
  secret_id: 'Secret',
  project_id: 'Project',
  verified_by: 'Verified by',
  request_id: 'Request',
};
const details = Object.keys(detailNames) as AuditFilterName[];

interface Chip {
  readonly name: AuditFilterName;
  readonly isExcluded: boolean;
  readonly value: string;
}

/** The types that are wanted are in a field of their own. */
function chipsOf(search: AuditSearch): Chip[] {
  return details.flatMap((name) => {
    const { [name]: wanted, [opposite(name)]: unwanted } = search;
    return [
      ...(wanted === undefined || name === 'type' ? [] : [{ name, isExcluded: false, value: wanted }]),
      ...(unwanted === undefined ? [] : [{ name, isExcluded: true, value: unwanted }]),
    ];
  });
}

export function FilterBar({ organizationId, search, onChange }: Props) {
  const [opened, popover] = useDisclosure(false);
  return (
    <Stack gap="xs" mb="md">
      <Group gap="xs" align="flex-start">
        <MultiSelect
          aria-label="Types of events"
          placeholder={search.type ? undefined : 'Every type of event'}
          data={withUnknown(typeChoices, listOf(search.type))}
          value={listOf(search.type)}
          onChange={(types) => onChange({ type: types.join(',') || undefined })}
          maxValues={20}
          searchable
          clearable
          hidePickedOptions
          clearButtonProps={{ 'aria-label': 'Every type of event' }}
          nothingFoundMessage="No type found"
          className="filter-types"
        />
        <RangeSelect search={search} onChange={onChange} />
        <Popover
          opened={opened}
          onChange={popover.toggle}
          position="bottom-end"
          width="min(36rem, calc(100vw - 2rem))"
          trapFocus
          withArrow
          closeOnEscape={false}
        >
          <Popover.Target>
            <Button variant="default" leftSection={<IconFilter size={16} />} onClick={popover.toggle}>
              Filters
            </Button>
          </Popover.Target>
          <Popover.Dropdown aria-label="Filters" onKeyDown={closeOnEscape(popover.close)}>
            <FilterDetails {...{ organizationId, search }} onApply={onChange} onClose={popover.close} />
          </Popover.Dropdown>
        </Popover>
      </Group>
      {chipsOf(search).length > 0 && <Chosen {...{ organizationId, search, onChange }} />}
    </Stack>
  );
}

function Chosen({ organizationId, search, onChange }: Props) {
  const ids = chipsOf(search).flatMap(({ name, value }) => (NAMED.has(name) && isNamed(value) ? [value] : []));
  const { data: names, isLoading } = useQuery(chosenNamesQuery(organizationId, ids));
  const called = (id: string) => names?.find((named) => named.id === id)?.name ?? (isLoading ? '…' : shortId(id));
  return (
    <Group gap={6}>
      {chipsOf(search).map(({ name, isExcluded, value }) => {
        const label = `${detailNames[name]}${isExcluded ? ' is not' : ''}`;
        const parameter = isExcluded ? opposite(name) : name;
        return (
          <Pill
            key={parameter}
            size="md"
            withRemoveButton
            onRemove={() => onChange({ [parameter]: undefined })}
            removeButtonProps={{ 'aria-label': `Remove ${label}`, tabIndex: 0, 'aria-hidden': false }}
          >
            <button
              type="button"
              className="chip-turn"
              title={isExcluded ? 'Show only these' : 'Leave these out'}
              aria-label={`${label}: ${isExcluded ? 'show only these' : 'leave these out'}`}
              onClick={() => onChange({ [name]: search[opposite(name)], [opposite(name)]: search[name] })}
            >
              {label}
            </button>
            {isExcluded ? ' ' : ': '}
            {detailWords(name, value, called)}
          </Pill>
        );
      })}
      <Button variant="subtle" size="compact-sm" color="gray" onClick={() => onChange(noFilters)}>
        Clear all
      </Button>
    </Group>
  );
}

/** Escape closes an open dropdown first. */
function closeOnEscape(close: () => void) {
  return ({ key, target }: KeyboardEvent) => {
    if (key === 'Escape' && (target as Element).getAttribute('aria-expanded') !== 'true') close();
  };
}

function detailWords(name: AuditFilterName, value: string, nameOf: (id: string) => string): string {
  if (name === 'outcome')
    return listOf(value)
      .map((code) => outcomeWords[VerificationCode.parse(code)])
      .join(', ');
  return NAMED.has(name) ? nameOf(value) : value;
}

function isNamed(id: string): boolean {
  return isId('key', id) || isId('proj', id) || isId('user', id);
}

/** The filters whose values have names. */
const NAMED: ReadonlySet<AuditFilterName> = new Set(['actor_id', 'key_id', 'subject', 'project_id', 'verified_by']);

/** Adds types from the address that this version does not know. */
function withUnknown(choices: typeof typeChoices, types: readonly string[]): typeof typeChoices {
  const known = new Set(choices.flatMap(({ items }) => items.map(({ value }) => value)));
  const missing = types.filter((type) => !known.has(type));
  if (missing.length === 0) return choices;
  return [...choices, { group: 'Others', items: missing.map((value) => ({ value, label: value })) }];
}

const rangeLabels: Record<TimeRange, string> = {
  '1h': 'Last hour',
  '24h': 'Last 24 hours',
  today: 'Today',
  yesterday: 'Yesterday',
  '7d': 'Last 7 days',
  '30d': 'Last 30 days',
  custom: 'Custom period',
};

function RangeSelect({ search, onChange }: Pick<Props, 'search' | 'onChange'>) {
  return (
    <>
      <Select
        aria-label="Time"
        w={150}
        data={[
          { value: 'all', label: 'Any time' },
          ...TimeRange.options.map((value) => ({ value, label: rangeLabels[value] })),
        ]}
        value={search.range ?? 'all'}
        allowDeselect={false}
        onChange={(value) => {
          const range = TimeRange.safeParse(value).data;
          onChange({ range, ...(range !== 'custom' && { from: undefined, to: undefined }) });
        }}
      />
      {search.range === 'custom' && (
        <>
          <Instant label="From" value={search.from} onChange={(from) => onChange({ from })} />
          <Instant label="To" value={search.to} onChange={(to) => onChange({ to })} />
        </>
      )}
    </>
  );
}

interface InstantProps {
  readonly label: string;
  readonly value: string | undefined;
  readonly onChange: (value: string | undefined) => void;
}

/** A field for a time, in the local time zone like all times here. */
function Instant({ label, value, onChange }: InstantProps) {
  const local = value ? localText(new Date(value)) : '';
  return (
    <TextInput
      key={local}
      aria-label={label}
      leftSection={label}
      leftSectionWidth={52}
      type="datetime-local"
      max="9999-12-31T23:59"
      defaultValue={local}
      // While the user types, the date is incomplete.
      onBlur={({ currentTarget: { value: typed } }) => {
        if (typed !== local) onChange(typed ? new Date(typed).toISOString() : undefined);
      }}
      onKeyDown={(event) => {
        if (event.key === 'Enter') event.currentTarget.blur();
      }}
    />
  );
}

/** The format that the field expects: without a time zone. */
function localText(date: Date): string {
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
