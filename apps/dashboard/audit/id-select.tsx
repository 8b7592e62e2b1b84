import { Select } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { searchTermOf } from '#libs/api-key-format/search-term.js';
import { NAMED_ID_TYPES, type AuditName, type NamedKind } from '#libs/contract/audit-names.js';
import { isId } from '#libs/contract/ids.js';
import { chosenNamesQuery, nameSearchQuery, shortId } from './names.js';

interface Props {
  readonly organizationId: string;
  readonly label: string;
  readonly kinds: readonly NamedKind[];
  readonly value?: string | null;
  readonly onChange?: (value: string | null) => void;
}

const SETTLED_MS = 200;

/** A choice by name, which the server searches. A key is also found by itself, and an id without a name can be pasted. */
export function IdSelect({ organizationId, label, kinds, value = null, ...field }: Props) {
  const [typed, setTyped] = useState('');
  const [text] = useDebouncedValue(typed, SETTLED_MS);
  const chosen = useQuery(chosenNamesQuery(organizationId, value === null ? [] : [value])).data ?? [];
  // After a choice, the field has the name of what was chosen, and the list has all again.
  const isChosen = chosen.some((named) => labelOf(named, chosen) === text);
  const search = isChosen ? '' : searchTermOf(text);
  const found = useQuery({ ...nameSearchQuery(organizationId, kinds, search), placeholderData: keepPreviousData });
  const named = [...(found.data?.data ?? []), ...chosen];
  // Only ids are accepted, so that no pasted key gets into the address.
  const pasted = [value, typed.trim()].filter(
    (id): id is string => Boolean(id) && kinds.some((kind) => isId(NAMED_ID_TYPES[kind], id)),
  );
  const labels = new Map([
    ...pasted.map((id) => [id, id] as const),
    ...named.map((one) => [one.id, labelOf(one, named)] as const),
  ]);
  return (
    <Select
      label={label}
      placeholder="Any"
      data={[...labels].map(([id, text]) => ({ value: id, label: text }))}
      value={value}
      onSearchChange={setTyped}
      searchable
      clearable
      // The server has searched already.
      filter={({ options }) => options}
      openOnFocus={false}
      clearButtonProps={{ 'aria-label': 'Any' }}
      nothingFoundMessage={
        found.isFetching || typed !== text ? 'Searching …' : 'Nothing found. You can also paste an id.'
      }
      comboboxProps={{ withinPortal: false }}
      {...field}
    />
  );
}

/** The name, with the end of the id if others have the same name. */
function labelOf({ id, kind, name, gone }: AuditName, all: readonly AuditName[]): string {
  const isShared = all.some((other) => other.name === name && other.id !== id);
  const left = kind === 'user' ? '(former member)' : '(deleted)';
  return [name, ...(isShared ? [shortId(id)] : []), ...(gone ? [left] : [])].join(' ');
}
