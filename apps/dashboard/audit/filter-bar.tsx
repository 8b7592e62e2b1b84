import { Button, Group, MultiSelect, Pill, Popover, Select, Stack, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconFilter } from '@tabler/icons-react';
import type { KeyboardEvent } from 'react';
import { SearchBox } from '../ui/search-box.js';
import { listOf, noFilters, opposite, TimeRange, type AuditSearch } from './audit-search.js';
import { typeChoices } from './event-types.js';
import { FilterDetails } from './filter-details.js';
import { chipsOf, detailNames, rangeLabels, useFilterWords } from './filter-words.js';

interface Props {
  readonly organizationId: string;
  readonly search: AuditSearch;
  readonly onChange: (patch: Partial<AuditSearch>) => void;
}

export function FilterBar({ organizationId, search, onChange }: Props) {
  const [opened, popover] = useDisclosure(false);
  return (
    <Stack gap="xs" mb="md">
      <Group gap="xs" align="flex-start">
        <SearchBox label="Search the events" value={search.search} onSearch={(text) => onChange({ search: text })} />
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
  const chips = chipsOf(search);
  const wordsOf = useFilterWords(organizationId, chips);
  return (
    <Group gap={6}>
      {chips.map((chip) => {
        const { name, isExcluded } = chip;
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
            {wordsOf(chip)}
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

/** Adds types from the address that this version does not know. */
function withUnknown(choices: typeof typeChoices, types: readonly string[]): typeof typeChoices {
  const known = new Set(choices.flatMap(({ items }) => items.map(({ value }) => value)));
  const missing = types.filter((type) => !known.has(type));
  if (missing.length === 0) return choices;
  return [...choices, { group: 'Others', items: missing.map((value) => ({ value, label: value })) }];
}

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
