import { ActionIcon, Button, Group, Skeleton, Stack, Switch, Text, Tooltip } from '@mantine/core';
import { useInViewport } from '@mantine/hooks';
import { IconRefresh } from '@tabler/icons-react';
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { ApiError } from '#libs/client/client.js';
import { ErrorState } from '../ui/error-state.js';
import { SlowNotice } from '../ui/slow-notice.js';
import { eventQuery, isFiltered, mayFollow, noFilters, tailQuery } from './audit-search.js';
import { EventDrawer } from './event-drawer.js';
import { EventList } from './event-list.js';
import { pageQuery } from './event-pages.js';
import { ExportMenu } from './export-menu.js';
import { FilterBar } from './filter-bar.js';
import { useLiveTail, type TailState } from './live-tail.js';
import { namesQuery, useNames } from './names.js';
import { NewsButton } from './news-button.js';
import { noNews, released, withTold, type News } from './news.js';
import { NotForYou } from './not-for-you.js';
import { useAuditSearch } from './use-audit-search.js';

/** The audit log of an organization, or of the deployment itself. Its state is in the address of the current page. */
export function AuditLog({ organizationId }: { readonly organizationId: string }) {
  const { search, change } = useAuditSearch();
  const queries = useQueryClient();
  const nameOf = useNames(organizationId);
  const [asOf, setAsOf] = useState(Date.now);
  const first = useQuery({
    ...pageQuery(eventQuery(search, organizationId, asOf), asOf, undefined),
    placeholderData: keepPreviousData,
  });
  const { ref: topRef, inViewport: atTop } = useInViewport();
  const reading = !atTop || search.event !== undefined;

  const readingKey = first.data && JSON.stringify([first.data.query, first.data.asOf]);
  const [{ of, news }, setNews] = useState<{ of: string | undefined; news: News }>({ of: undefined, news: noNews });
  if (readingKey !== of) setNews({ of: readingKey, news: noNews });
  else if (!reading && news.held.length > 0) setNews({ of, news: released(news) });

  const readAgain = () => setAsOf(Date.now());
  const tail = useLiveTail({
    query: tailQuery(search, organizationId),
    after: first.data && !first.isPlaceholderData ? (first.data.data[0]?.leaf_index ?? null) : undefined,
    enabled: search.live === true && mayFollow(search),
    onEvents: (events) => {
      setNews((before) => ({ ...before, news: withTold(before.news, events, reading) }));
      if (news.overflowed && !reading) readAgain();
      if (events.some(({ event }) => NAMING.test(event.type)))
        void queries.invalidateQueries(namesQuery(organizationId));
    },
    onBegin: readAgain,
  });
  if (isRefused(first.error)) return <NotForYou organizationId={organizationId} />;
  const isEmpty = first.data?.data.length === 0 && news.shown.length === 0;
  return (
    <>
      <FilterBar {...{ organizationId, search, nameOf }} onChange={(patch) => change({ ...patch, event: undefined })} />
      <Group justify="space-between" mb="xs" gap="xs">
        <LiveSwitch
          state={tail.state}
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
            loading={first.isFetching && !first.isPending}
            onClick={() => {
              window.scrollTo({ top: 0 });
              readAgain();
            }}
          >
            <IconRefresh size={16} />
          </ActionIcon>
          <ExportMenu query={() => eventQuery(search, organizationId, Date.now())} />
        </Group>
      </Group>
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
      {(search.ip ?? search.path) !== undefined && (
        <Text size="xs" c="dimmed" mb="xs">
          Summaries of many denials name no address and no path, so this filter does not find them.
        </Text>
      )}
      <ErrorState error={first.error ?? tail.error} onRetry={() => void first.refetch()} />
      {(first.isPending || (first.data && !isEmpty && !nameOf)) && <ListSkeleton />}
      {isEmpty && <NothingFound filtered={isFiltered(search)} onClear={() => change(noFilters)} />}
      {first.data && !isEmpty && nameOf && (
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
        {...{ organizationId, nameOf }}
        index={search.event}
        onClose={() => change({ event: undefined })}
        onFilter={(patch) => change({ ...patch, event: undefined })}
        onShow={(event) => change({ event }, { replace: true })}
      />
    </>
  );
}

/** Events after which names are loaded again. */
const NAMING = /^(api_key\.(created|updated)|project\.(created|updated)|member\.added)$/;

function isRefused(error: unknown): boolean {
  return error instanceof ApiError && error.problem.code === 'insufficient_scope';
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
  live: 'New events appear by themselves',
  failed: 'Stopped',
};

function LiveSwitch({ state, on, possible, onChange }: LiveSwitchProps) {
  return (
    <Group gap="sm">
      <Tooltip label="Nothing new can belong to a time that has ended" disabled={possible}>
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

function NothingFound({ filtered, onClear }: { readonly filtered: boolean; readonly onClear: () => void }) {
  return (
    <Stack align="center" py="xl" gap="xs">
      <Text fw={500}>{filtered ? 'No event matches these filters' : 'Nothing has happened here yet'}</Text>
      <Text c="dimmed" size="sm">
        {filtered
          ? 'Events show up here within a moment of what they tell.'
          : 'Every change, every sign-in and every use of a key will be listed here.'}
      </Text>
      {filtered && (
        <Button variant="default" mt="xs" onClick={onClear}>
          Clear the filters
        </Button>
      )}
    </Stack>
  );
}

function ListSkeleton() {
  return (
    <Stack gap={10} role="status" aria-label="Loading">
      {Array.from({ length: 12 }, (_, row) => (
        <Skeleton key={row} height={32} />
      ))}
      <SlowNotice />
    </Stack>
  );
}
