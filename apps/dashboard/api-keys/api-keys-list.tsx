import './api-keys.css';
import { Button, EmptyState, Group, Skeleton, Stack, Text } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconKey, IconPlus } from '@tabler/icons-react';
import { useCanGoBack, useRouter } from '@tanstack/react-router';
import { Suspense, useCallback, useDeferredValue, useState, type ReactNode } from 'react';
import type { Organization } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';
import { useOrganizations } from '../organization/organizations.js';
import { lazyPart } from '../session/load-part.js';
import { ErrorState } from '../ui/error-state.js';
import { counted } from '../ui/format.js';
import { PageHeader } from '../ui/page-header.js';
import { useShortcut } from '../ui/shortcuts.js';
import { SlowNotice } from '../ui/slow-notice.js';
import { useSetEnabled, type KeyAction } from './actions.js';
import { BulkChanges } from './bulk-changes.js';
import type { ApiKey } from './api-keys.js';
import type { ApiKeysSearch } from './api-keys-search.js';
import { ExportKeys } from './export-keys.js';
import { filtersOf, isFiltered, KeyFilters, noFilters } from './key-filters.js';
import { useKeySelection } from './key-selection.js';
import { KeysCards } from './keys-cards.js';
import { KeysToReview } from './keys-to-review.js';
import { KeysTable } from './keys-table.js';
import type { Sort } from './listed-keys.js';
import { SortSelect } from './sort-select.js';
import { useKeyList } from './use-key-list.js';

const CreateKey = lazyPart(async () => (await import('./create-key.js')).CreateKey);
const RotateKey = lazyPart(async () => (await import('./rotate-key.js')).RotateKey);
const EndKey = lazyPart(async () => (await import('./end-key.js')).EndKey);

interface Props {
  readonly organizationId: string;
  /** The search parameters of the URL. If `projectId` is set, it replaces their project. */
  readonly search: ApiKeysSearch;
  /** @param replace whether to replace the entry of the browser history, as while the user types */
  readonly onSearch: (changes: ApiKeysSearch, replace: boolean) => void;
  readonly title: string;
  readonly description?: ReactNode;
  readonly createLabel: string;
  readonly projectId?: string;
}

/** The keys of an organization, or of one of its projects. */
export function ApiKeysList(props: Props) {
  const organization = useOrganizations().find(({ id }) => id === props.organizationId);
  if (!organization || !roleCovers(organization.role, 'api-keys:read')) {
    return (
      <>
        <PageHeader title={props.title} />
        <EmptyState
          icon={<IconKey />}
          title="Your role cannot see API keys"
          description={
            organization
              ? `Your role is ${organization.role}. Owners, admins, developers and auditors see API keys. An owner or admin can change your role.`
              : 'Only members of an organization see its API keys.'
          }
        />
      </>
    );
  }
  return <Keys {...props} organization={organization} />;
}

/** The width at which the columns of the table fit beside the sidebar. */
const WIDE = '(min-width: 84em)';

function Keys({ organization, projectId, onSearch, title, description, createLabel, ...props }: KeysListProps) {
  const search = projectId ? { ...props.search, project: projectId } : props.search;
  const withinProject = projectId !== undefined;
  const { list, rows } = useKeyList(organization.id, search);
  // Deferred, so that the list does not slow down typing.
  const { total, apiKeys, usesByDay, projectNames, owners } = useDeferredValue(rows);
  const dialog = useKeyDialog();
  const selection = useKeySelection(apiKeys, JSON.stringify(filtersOf(search)));
  const setEnabled = useSetEnabled();
  const manages = roleCovers(organization.role, 'api-keys:manage');
  const openCreation = () => manages && onSearch({ create: true }, false);
  useShortcut('c', 'Create an API key', openCreation);

  const { fetchNextPage, hasNextPage, isFetching } = list;
  const loadMore = useCallback(() => void fetchNextPage(), [fetchNextPage]);
  const create = manages && <CreateButton label={createLabel} onClick={openCreation} />;
  const filtered = isFiltered(search, withinProject);
  // A total of 0 holds only if it is that of this search: not while another search or the deferred total is shown.
  const isKnown = total !== undefined && (total > 0 || (rows.total === 0 && !list.isPlaceholderData));
  const isEmpty = isKnown && total === 0 && !filtered;
  const isWide = useMediaQuery(WIDE, undefined, { getInitialValueInEffect: false });
  const List = isWide ? KeysTable : KeysCards;
  const { sort = '-created_at' } = search;
  const onSort = (next: Sort) => onSearch({ sort: next }, false);
  return (
    <>
      <PageHeader title={title} description={description ?? describeList(organization)} actions={create} />
      {!isEmpty && <Filters {...{ organization, projectId, search, onSearch }} busy={list.isPlaceholderData} />}
      {list.error && !list.data && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
      {!isKnown && !list.error && <ListSkeleton />}
      {isKnown && !isEmpty && (
        <ListHead {...{ total, filtered }} stale={list.isPlaceholderData}>
          {!isWide && <SortSelect sort={sort} onSort={onSort} />}
          {total > 0 && <ExportKeys organizationId={organization.id} {...{ search, owners, projectNames }} />}
        </ListHead>
      )}
      {isKnown && total === 0 && (
        <NoKeys filtered={filtered} onClear={() => onSearch(noFilters(withinProject), false)} />
      )}
      {isKnown && total > 0 && (
        <List
          {...{ apiKeys, total, usesByDay, projectNames, owners, sort, onSort }}
          stale={list.isPlaceholderData}
          onSwitch={manages ? setEnabled : undefined}
          onAction={manages ? dialog.open : undefined}
          selection={manages ? selection : undefined}
          loadMore={hasNextPage && !isFetching ? loadMore : undefined}
        />
      )}
      {manages && (
        <BulkChanges organizationId={organization.id} {...{ search, selection, filtered }} total={total ?? 0} />
      )}
      {manages && <Dialogs {...{ organization, search, onSearch, dialog }} />}
    </>
  );
}

function CreateButton({ label, onClick }: { readonly label: string; readonly onClick: () => void }) {
  return (
    <Button leftSection={<IconPlus size={16} />} onClick={onClick} aria-keyshortcuts="c">
      {label}
    </Button>
  );
}

interface FiltersProps extends Pick<KeysListProps, 'organization' | 'projectId' | 'search' | 'onSearch'> {
  readonly busy: boolean;
}

function Filters({ organization: { id }, projectId, search, onSearch, busy }: FiltersProps) {
  return (
    <>
      <KeyFilters
        organizationId={id}
        search={search}
        onChange={(changes) => onSearch(changes, 'search' in changes)}
        busy={busy}
        withinProject={projectId !== undefined}
      />
      <KeysToReview organizationId={id} {...{ projectId, search, onSearch }} />
    </>
  );
}

interface KeysListProps extends Props {
  readonly organization: Organization;
}

function describeList({ role }: Organization): string | undefined {
  return role === 'developer' ? 'Keys that you created, and keys made with them.' : undefined;
}

interface ListHeadProps {
  readonly total: number;
  readonly filtered: boolean;
  /** Whether the total is that of the search before. */
  readonly stale: boolean;
  readonly children: ReactNode;
}

function ListHead({ total, filtered, stale, children }: ListHeadProps) {
  return (
    <Group justify="space-between" mb={4}>
      <Text size="sm" c="dimmed" role="status" className={stale ? 'stale' : undefined}>
        {counted(total, 'key')}
        {filtered && ' found'}
      </Text>
      <Group gap="xs">{children}</Group>
    </Group>
  );
}

interface NoKeysProps {
  readonly filtered: boolean;
  readonly onClear: () => void;
}

function NoKeys({ filtered, onClear }: NoKeysProps) {
  if (filtered) return <NoKeyFound onClear={onClear} />;
  return (
    <EmptyState
      icon={<IconKey />}
      withIndicatorBackground
      title="No API keys yet"
      description="A key lets a program call the API. Create a key for each program, with only the scopes that it needs."
    />
  );
}

function NoKeyFound({ onClear }: { readonly onClear: () => void }) {
  return (
    <EmptyState title="No keys found" description="No key matches all of the filters.">
      <EmptyState.Actions>
        <Button variant="default" onClick={onClear}>
          Clear filters
        </Button>
      </EmptyState.Actions>
    </EmptyState>
  );
}

function ListSkeleton() {
  return (
    <Stack gap="xs" role="status" aria-label="Loading">
      {Array.from({ length: 8 }, (_, row) => (
        <Skeleton key={row} height={48} />
      ))}
      <SlowNotice />
    </Stack>
  );
}

interface DialogsProps extends Pick<KeysListProps, 'organization' | 'search' | 'onSearch'> {
  readonly dialog: ReturnType<typeof useKeyDialog>;
}

function Dialogs({ organization, search, onSearch, dialog: { apiKey, action, close } }: DialogsProps) {
  const closeCreation = useCloseCreation(onSearch);
  return (
    <Suspense>
      {search.create && <CreateKey organization={organization} projectId={search.project} onClose={closeCreation} />}
      {apiKey && action === 'rotate' && <RotateKey apiKey={apiKey} onClose={close} />}
      {apiKey && (action === 'revoke' || action === 'delete') && (
        <EndKey apiKey={apiKey} how={action} onClose={close} />
      )}
    </Suspense>
  );
}

/** The open dialog and its key. */
function useKeyDialog() {
  const [subject, setSubject] = useState<{ apiKey: ApiKey; action: KeyAction }>();
  const open = useCallback((apiKey: ApiKey, action: KeyAction) => setSubject({ apiKey, action }), []);
  return { ...subject, open, close: () => setSubject(undefined) };
}

/** Closes the form: goes back if possible, or stays on this page if the user came by a link. */
function useCloseCreation(onSearch: Props['onSearch']): () => void {
  const router = useRouter();
  const canGoBack = useCanGoBack();
  return () => {
    if (canGoBack) router.history.back();
    else onSearch({ create: undefined }, true);
  };
}
