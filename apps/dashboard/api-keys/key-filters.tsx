import { Button, Chip, Group, Kbd, Loader, Select, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { useEffect, useRef, useState } from 'react';
import { ApiKeyStatus } from '#libs/contract/api-keys.js';
import { useShortcut } from '../ui/shortcuts.js';
import type { ApiKeysSearch } from './api-keys-search.js';
import { ProjectSelect } from './project-select.js';

interface Props {
  readonly organizationId: string;
  readonly search: ApiKeysSearch;
  readonly onChange: (changes: ApiKeysSearch) => void;
  readonly busy: boolean;
  /** Of a page that shows one project alone. */
  readonly withinProject: boolean;
}

const statuses = ApiKeyStatus.options.map((value) => ({ value, label: value[0]!.toUpperCase() + value.slice(1) }));

export function KeyFilters({ organizationId, search, onChange, busy, withinProject }: Props) {
  return (
    <Group gap="xs" mb="sm" role="search" aria-label="API keys">
      <SearchField
        value={search.search ?? ''}
        onChange={(text) => onChange({ search: text || undefined })}
        busy={busy}
      />
      <Select
        aria-label="Status"
        placeholder="Any status"
        w={130}
        clearable
        data={statuses}
        value={search.status ?? null}
        onChange={(status) => onChange({ status: status ?? undefined })}
      />
      <Select
        aria-label="Environment"
        placeholder="Test and live"
        w={130}
        clearable
        data={[
          { value: 'live', label: 'Live' },
          { value: 'test', label: 'Test' },
        ]}
        value={search.environment ?? null}
        onChange={(environment) => onChange({ environment: environment ?? undefined })}
      />
      {!withinProject && (
        <ProjectSelect
          organizationId={organizationId}
          aria-label="Project"
          placeholder="Any project"
          w={160}
          value={search.project ?? null}
          onChange={(project) => onChange({ project: project ?? undefined })}
        />
      )}
      <Chip
        checked={search.unused ?? false}
        onChange={(unused) => onChange({ unused: unused || undefined })}
        variant="outline"
        radius="md"
      >
        Unused for 90 days
      </Chip>
      {isFiltered(search, withinProject) && (
        <Button variant="subtle" color="gray" size="xs" onClick={() => onChange(noFilters(withinProject))}>
          Clear filters
        </Button>
      )}
    </Group>
  );
}

export function isFiltered(
  { search, status, environment, project, unused }: ApiKeysSearch,
  withinProject: boolean,
): boolean {
  return Boolean(search ?? status ?? environment ?? unused ?? (!withinProject && project));
}

export function noFilters(withinProject: boolean): ApiKeysSearch {
  const none = { search: undefined, status: undefined, environment: undefined, unused: undefined };
  return withinProject ? none : { ...none, project: undefined };
}

const PAUSE_MS = 200;

interface SearchFieldProps {
  readonly value: string;
  readonly onChange: (text: string) => void;
  readonly busy: boolean;
}

/** What is typed is drawn at once and by itself; the list hears of it after a pause. */
function SearchField({ value, onChange, busy }: SearchFieldProps) {
  const ref = useRef<HTMLInputElement>(null);
  const told = useRef(value);
  const [typed, setTyped] = useState(value);
  const tell = useDebouncedCallback((text: string) => {
    told.current = text;
    onChange(text);
  }, PAUSE_MS);
  useShortcut('/', 'Search the API keys', () => ref.current?.focus());
  // Back, or a link, or "Clear filters".
  useEffect(() => {
    if (value === told.current) return;
    told.current = value;
    setTyped(value);
  }, [value]);
  return (
    <TextInput
      ref={ref}
      type="search"
      aria-label="Search by name, description, external id or the beginning of the key"
      placeholder="Search name, external id, prefix"
      flex="1 1 200px"
      leftSection={<IconSearch size={16} />}
      rightSection={busy ? <Loader size={14} /> : <Kbd size="xs">/</Kbd>}
      value={typed}
      maxLength={100}
      onChange={(event) => {
        setTyped(event.currentTarget.value);
        tell(event.currentTarget.value.trim());
      }}
    />
  );
}
