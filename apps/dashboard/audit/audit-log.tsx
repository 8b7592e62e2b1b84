import { ActionIcon, Button, Group, Skeleton, Stack, Switch, Text, Tooltip } from '@mantine/core';
import { useInViewport } from '@mantine/hooks';
import { IconPrinter, IconRefresh } from '@tabler/icons-react';
import { ErrorState } from '../ui/error-state.js';
import { ButtonLink } from '../ui/links.js';
import { counted } from '../ui/format.js';
import { SlowNotice } from '../ui/slow-notice.js';
import { eventQuery, isFiltered, mayFollow, noFilters, type AuditSearch } from './audit-search.js';
import { EventDrawer } from './event-drawer.js';
import { EventList } from './event-list.js';
import { ExportMenu } from './export-menu.js';
import { FilterBar } from './filter-bar.js';
import type { TailState } from './live-tail.js';
import { useNames } from './names.js';
import { NewsButton } from './news-button.js';
import { isForbidden, NotForYou } from './not-for-you.js';
import { ViewsMenu } from './views-menu.js';
import { useCloseEvent, useSearchWithin, type useAuditSearch } from './use-audit-search.js';
import { useFollowedLog } from './use-followed-log.js';

interface Props {
  readonly organizationId: string;
  /** A filter that the page sets, and the user does not see among the others. */
  readonly filter?: Partial<AuditSearch>;
}

const NO_FILTER = {};

/** The audit log of an organization, or of the deployment itself. Its state is in the address of the current page. */
export function AuditLog({ organizationId, filter: fixed = NO_FILTER }: Props) {
  const { chosen, search, change, filter } = useSearchWithin(organizationId, fixed);
  const closeEvent = useCloseEvent({ search, change });
  const nameOf = useNames(organizationId);
  const { ref: topRef, inViewport: atTop } = useInViewport();
  const reading = !atTop || search.event !== undefined;
  const { first, leftToSearch, readingKey, news, tail, readAgain } = useFollowedLog(organizationId, search, reading);
  if (isForbidden(first.error)) return <NotForYou organizationId={organizationId} />;
  const hasNone = first.data?.data.length === 0 && news.shown.length === 0;
  // That the search before found nothing says nothing of this one.
  const isEmpty = hasNone && !first.isPlaceholderData;
  return (
    <>
      <FilterBar {...{ organizationId }} search={chosen} onChange={filter} />
      <Toolbar
        {...{ organizationId, search, change }}
        state={tail.state}
        loading={first.isFetching && !first.isPending}
        onRefresh={readAgain}
        onFilter={filter}
      />
      <div ref={topRef} className="events-top" />
      <NewsButton
        count={news.held.length}
        more={news.overflowed}
        onShow={() => {
          if (news.overflowed) readAgain();
          window.scrollTo({ top: 0 });
          change({ event: undefined });
        }}
      />
      {(search.ip ?? search.path) !== undefined && <WithoutSummaries />}
      <ErrorState error={first.error ?? tail.error} onRetry={() => void first.refetch()} />
      {(first.isPending || (hasNone && !isEmpty)) && <ListSkeleton leftToSearch={leftToSearch} />}
      {isEmpty && <NothingFound filtered={isFiltered(chosen)} onClear={() => change(noFilters)} />}
      {first.data && !hasNone && (
        <div className={first.isPlaceholderData ? 'events-stale' : undefined} aria-busy={first.isPlaceholderData}>
          <EventList
            key={readingKey}
            query={first.data.query}
            asOf={first.data.asOf}
            news={news.shown}
            nameOf={nameOf}
            opened={search.event}
          />
        </div>
      )}
      <EventDrawer
        {...{ organizationId, nameOf, search }}
        index={search.event}
        onClose={closeEvent}
        onFilter={filter}
        onShow={(event) => change({ event }, { replace: true })}
      />
    </>
  );
}

interface ToolbarProps extends ReturnType<typeof useAuditSearch> {
  readonly organizationId: string;
  readonly state: TailState;
  readonly loading: boolean;
  readonly onRefresh: () => void;
  readonly onFilter: (patch: Partial<AuditSearch>) => void;
}

function Toolbar({ organizationId, search, change, state, loading, onRefresh, onFilter }: ToolbarProps) {
  return (
    <Group justify="space-between" mb="xs" gap="xs">
      <LiveSwitch
        state={state}
        on={search.live === true}
        possible={mayFollow(search)}
        onChange={(on) => change({ live: on || undefined }, { replace: true })}
      />
      <Group gap="xs">
        <ActionIcon
          variant="default"
          size={36}
          aria-label="Refresh"
          title="Refresh"
          loading={loading}
          onClick={() => {
            window.scrollTo({ top: 0 });
            onRefresh();
          }}
        >
          <IconRefresh size={16} />
        </ActionIcon>
        <ViewsMenu organizationId={organizationId} search={search} onShow={onFilter} />
        <ButtonLink
          variant="default"
          leftSection={<IconPrinter size={16} />}
          to="/org/$organizationId/audit/report"
          params={{ organizationId }}
          search={{ ...search, event: undefined, live: undefined }}
          preload={false}
        >
          Report
        </ButtonLink>
        <ExportMenu query={() => eventQuery(search, organizationId, Date.now())} />
      </Group>
    </Group>
  );
}

interface LiveSwitchProps {
  readonly state: TailState;
  readonly on: boolean;
  readonly possible: boolean;
  readonly onChange: (on: boolean) => void;
}

const stateWords: Record<TailState, string> = {
  off: '',
  connecting: 'Connecting',
  live: 'New events appear automatically',
  failed: 'Stopped',
};

function LiveSwitch({ state, on, possible, onChange }: LiveSwitchProps) {
  return (
    <Group gap="sm">
      <Tooltip label="The chosen period has ended, so it gets no new events" disabled={possible}>
        <Switch
          label="Live"
          checked={on && possible}
          disabled={!possible}
          onChange={(event) => onChange(event.currentTarget.checked)}
        />
      </Tooltip>
      <Group gap={6} role="status" className="live-state">
        {state !== 'off' && <span className="live-dot" data-state={state} />}
        <Text size="sm" c="dimmed">
          {stateWords[state]}
        </Text>
      </Group>
    </Group>
  );
}

function WithoutSummaries() {
  return (
    <Text size="xs" c="dimmed" mb="xs">
      A summary of many denials has no address and no path, so this filter does not find it.
    </Text>
  );
}

function NothingFound({ filtered, onClear }: { readonly filtered: boolean; readonly onClear: () => void }) {
  return (
    <Stack align="center" py="xl" gap="xs">
      <Text fw={500}>{filtered ? 'No event matches these filters' : 'No events yet'}</Text>
      <Text c="dimmed" size="sm">
        {filtered
          ? 'New events appear here within a moment.'
          : 'This page lists every change, every sign-in and every use of a key.'}
      </Text>
      {filtered && (
        <Button variant="default" mt="xs" onClick={onClear}>
          Clear the filters
        </Button>
      )}
    </Stack>
  );
}

function ListSkeleton({ leftToSearch }: { readonly leftToSearch: number | undefined }) {
  return (
    <Stack gap={10} role="status" aria-label="Loading">
      {leftToSearch !== undefined && (
        <Text size="sm" c="dimmed">
          Searching. {counted(leftToSearch, 'older event')} left.
        </Text>
      )}
      {Array.from({ length: 12 }, (_, row) => (
        <Skeleton key={row} height={32} />
      ))}
      <SlowNotice />
    </Stack>
  );
}
