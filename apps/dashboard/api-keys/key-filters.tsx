import { Button, Group, Select } from '@mantine/core';
import { ApiKeyStatus } from '#libs/contract/api-key-schemas.js';
import { UNUSED_DAYS } from '#libs/contract/bulk-changes.js';
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

const unusedChoices = [7, 30, 90, 180, 365].map((days) => ({ value: String(days), label: `Unused for ${days} days` }));
const policyChoices = [
  { value: 'broken' as const, label: 'Breaks the policy' },
  { value: 'disables' as const, label: 'Disabled soon' },
];
const expiryChoices = [
  { value: 'never', label: 'Never expires' },
  ...[7, 30, 90, 365].map((days) => ({ value: String(days), label: `Expires within ${days} days` })),
];

/** Adds a number of days from the address that is no choice. */
function withChosen(
  choices: typeof unusedChoices,
  chosen: number | string | undefined,
  labelOf: (days: number) => string,
): typeof unusedChoices {
  if (typeof chosen !== 'number' || choices.some(({ value }) => value === String(chosen))) return choices;
  return [...choices, { value: String(chosen), label: labelOf(chosen) }];
}

export function KeyFilters({ organizationId, search, onChange, busy, withinProject }: Props) {
  return (
    <Group className="key-filters" gap="xs" mb="sm" role="search" aria-label="API keys">
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
        w={120}
        clearable
        data={statuses}
        value={search.status ?? null}
        onChange={(status) => onChange({ status: status ?? undefined })}
      />
      <Select
        aria-label="Environment"
        placeholder="Test and live"
        w={135}
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
      <UseAndExpiry {...{ search, onChange }} />
      {isFiltered(search, withinProject) && (
        <Button variant="subtle" color="gray" size="xs" onClick={() => onChange(noFilters(withinProject))}>
          Clear filters
        </Button>
      )}
    </Group>
  );
}

function UseAndExpiry({ search, onChange }: Pick<Props, 'search' | 'onChange'>) {
  const unused = search.unused === true ? UNUSED_DAYS : search.unused;
  return (
    <>
      <Select
        aria-label="Last use"
        placeholder="Any use"
        w={150}
        clearable
        data={withChosen(unusedChoices, unused, (days) => `Unused for ${days} days`)}
        value={unused === undefined ? null : String(unused)}
        onChange={(days) => onChange({ unused: days === null ? undefined : Number(days) })}
      />
      <Select
        aria-label="Expiry"
        placeholder="Any expiry"
        w={170}
        clearable
        data={withChosen(expiryChoices, search.expires, (days) => `Expires within ${days} days`)}
        value={search.expires === undefined ? null : String(search.expires)}
        onChange={(days) => onChange({ expires: days === null ? undefined : days === 'never' ? days : Number(days) })}
      />
      <Select
        aria-label="Rate limit"
        placeholder="Any limit"
        w={125}
        clearable
        data={[{ value: 'none', label: 'No rate limit' }]}
        value={search.limits ?? null}
        onChange={(limits) => onChange({ limits: limits === null ? undefined : 'none' })}
      />
      {/* The keys to review lead to it, where there is such a key. */}
      {search.policy && (
        <Select
          aria-label="Key policy"
          w={185}
          clearable
          data={policyChoices}
          value={search.policy}
          onChange={(policy) => onChange({ policy: policy ?? undefined })}
        />
      )}
    </>
  );
}

/** The filters among the search parameters, with all names, so that equal filters have equal JSON. */
export function filtersOf(search: ApiKeysSearch): Record<string, unknown> {
  const { environment, expires, limits, policy, project, status, unused } = search;
  return { search: search.search, environment, expires, limits, policy, project, status, unused };
}

export function isFiltered(search: ApiKeysSearch, withinProject: boolean): boolean {
  const { project, ...filters } = filtersOf(search);
  return Object.values(filters).some(Boolean) || Boolean(!withinProject && project);
}

export function noFilters(withinProject: boolean): ApiKeysSearch {
  const none = {
    search: undefined,
    status: undefined,
    environment: undefined,
    unused: undefined,
    expires: undefined,
    limits: undefined,
    policy: undefined,
  };
  return withinProject ? none : { ...none, project: undefined };
}
