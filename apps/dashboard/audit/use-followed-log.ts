import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { eventQuery, mayFollow, tailQuery, type AuditSearch } from './audit-search.js';
import { pageQuery, useLeftToSearch } from './event-pages.js';
import { useLiveTail } from './live-tail.js';
import { loadNames } from './names.js';
import { noNews, released, withReceived, type News } from './news.js';

/**
 * The first page of the audit log, and the events that the tail has returned since that page was loaded.
 * @param reading whether the user reads further down, so that new events are held back
 */
export function useFollowedLog(organizationId: string, search: AuditSearch, reading: boolean) {
  const queries = useQueryClient();
  const [asOf, setAsOf] = useState(Date.now);
  const query = eventQuery(search, organizationId, asOf);
  const first = useQuery({ ...pageQuery(query, asOf, undefined), placeholderData: keepPreviousData });
  const leftToSearch = useLeftToSearch(query, asOf);

  const readingKey = first.data && JSON.stringify([first.data.query, first.data.asOf]);
  const [{ of, news }, setNews] = useState<{ of: string | undefined; news: News }>({ of: undefined, news: noNews });
  if (readingKey !== of) setNews({ of: readingKey, news: noNews });
  else if (!reading && news.held.length > 0) setNews({ of, news: released(news) });

  const readAgain = () => setAsOf(Date.now());
  const tail = useLiveTail({
    query: tailQuery(search, organizationId),
    after: first.data && !first.isPlaceholderData ? (first.data.data[0]?.leaf_index ?? null) : undefined,
    enabled: search.live === true && mayFollow(search),
    onEvents: async (events) => {
      // Without names, the events are shown by ids.
      await loadNames(queries, organizationId, events).catch(() => undefined);
      setNews((before) => ({ ...before, news: withReceived(before.news, events, reading) }));
      if (news.overflowed && !reading) readAgain();
    },
    onBegin: readAgain,
  });
  return { first, leftToSearch, readingKey, news, tail, readAgain };
}
