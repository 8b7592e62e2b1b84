import { Button, Chip, Group, Select } from '@mantine/core';
import { ApiKeyStatus } from '#libs/contract/api-key-schemas.js';
import { SearchBox } from '../ui/search-box.js';
import type { ApiKeysSearch } from './api-keys-search.js';
import { ProjectSelect } from './project-select.js';

interface Props {
  readonly organizationId: string;
  readonly search: ApiKeysSearch;
  readonly onChange: (changes: ApiKeysSearch) => void;
  readonly busy: boolean;
  /** Whether the page shows only one project. */
  readonly withinProject: boolean;
}

const statuses = ApiKeyStatus.options.map((value) => ({ value, label: value[0]!.toUpperCase() + value.slice(1) }));

export function KeyFilters({ organizationId, search, onChange, busy, withinProject }: Props) {
  return (
    <Group gap="xs" mb="sm" role="search" aria-label="API keys">
      <SearchBox
        label="Search by name, description, external id, id, or the key itself"
        placeholder="Search name, id, key"
        value={search.search}
        onSearch={(text) => onChange({ search: text })}
        pending={busy}
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
