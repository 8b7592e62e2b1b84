import { Select, type SelectProps } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { projectQuery, projectsQuery } from './api-keys.js';

interface Props extends Omit<SelectProps, 'value' | 'onChange'> {
  readonly organizationId: string;
  readonly value: string | null;
  readonly onChange: (projectId: string | null) => void;
}

/** The server searches the projects, so that there may be any number of them. */
export function ProjectSelect({ organizationId, value, ...props }: Props) {
  const [typed, setTyped] = useState('');
  const [search] = useDebouncedValue(typed.trim(), 200);
  const chosen = useQuery({ ...projectQuery(value ?? ''), enabled: value !== null });
  // The name of the chosen project is not a search.
  const isName = search === (chosen.data?.name ?? '');
  const found = useQuery(projectsQuery(organizationId, isName ? undefined : search));
  const isSearching = found.isFetching || typed.trim() !== search;
  const projects = found.data?.data ?? [];
  const others = chosen.data && !projects.some(({ id }) => id === chosen.data.id) ? [chosen.data] : [];
  return (
    <Select
      {...props}
      data={[...others, ...projects].map(({ id, name }) => ({ value: id, label: name }))}
      value={value}
      searchable
      clearable
      searchValue={typed}
      onSearchChange={setTyped}
      filter={({ options }) => options}
      nothingFoundMessage={isSearching ? 'Searching …' : 'No project found'}
    />
  );
}
