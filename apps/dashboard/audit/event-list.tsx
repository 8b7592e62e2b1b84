import '../ui/outcomes.css';
import './audit.css';
import { Skeleton, Text, VisuallyHidden } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { Link } from '@tanstack/react-router';
import { useWindowVirtualizer, type Virtualizer } from '@tanstack/react-virtual';
import {
  memo,
  useCallback,
  useLayoutEffect,
  useRef,
  useState,
  type KeyboardEvent,
  type ReactNode,
  type RefObject,
} from 'react';
import type { AuditEvent } from '#libs/contract/audit.js';
import { ErrorState } from '../ui/error-state.js';
import { addressParameter } from './activity.js';
import type { EventQuery } from './audit-search.js';
import { EventIcon } from './event-look.js';
import { fullTime, localTime, utcTime } from './event-time.js';
import { useEventPages } from './event-pages.js';
import { sentenceOf } from './event-sentence.js';
import type { NameOf } from './names.js';
import { Sentence } from './sentence.js';
import { counted } from '../ui/format.js';

interface Props {
  readonly query: EventQuery;
  readonly asOf: number;
  /** New events above the loaded ones, newest first. */
  readonly news: readonly AuditEvent[];
  readonly nameOf: NameOf;
  readonly opened: number | undefined;
}

/** From this width on, an event fits on one line; below it takes two. The style sheet uses the same numbers. */
const WIDE = '(min-width: 62em)';
const ROW_REM = { wide: 2.625, narrow: 3.75 };
const ROWS_BEYOND = 12;

/** Renders only the rows on the screen, so that the list can have any length. */
export function EventList({ query, asOf, news, nameOf, opened }: Props) {
  const list = useRef<HTMLDivElement>(null);
  const top = useTopOf(list);
  const [[firstRow, lastRow], setRange] = useState([0, 0]);
  const wide = useMediaQuery(WIDE, true, { getInitialValueInEffect: false });
  const pages = useEventPages(query, asOf, firstRow, lastRow);
  const count = news.length + pages.rows;
  const rowHeight = (wide ? ROW_REM.wide : ROW_REM.narrow) * rem();
  // oxlint-disable-next-line react/incompatible-library -- nothing here is compiled
  const virtualizer = useWindowVirtualizer({
    count,
    estimateSize: () => rowHeight,
    overscan: ROWS_BEYOND,
    scrollMargin: top,
    getItemKey: (index) => (index < news.length ? `new ${news[index]!.leaf_index}` : index - news.length),
  });
  const items = virtualizer.getVirtualItems();

  useLayoutEffect(() => virtualizer.measure(), [virtualizer, rowHeight]);
  const moveFocus = useArrowKeys(list, virtualizer);
  const first = Math.max(0, (items[0]?.index ?? 0) - news.length);
  const last = Math.max(0, (items.at(-1)?.index ?? 0) - news.length);
  if (first !== firstRow || last !== lastRow) setRange([first, last]);

  return (
    <>
      <div className="events" role="table" aria-label="Events" aria-rowcount={pages.complete ? count + 1 : -1}>
        <Head />
        <div
          role="rowgroup"
          ref={list}
          style={{ position: 'relative', height: virtualizer.getTotalSize(), overflow: 'hidden' }}
        >
          {items.map(({ index, key, start }) => {
            const item = index < news.length ? news[index] : pages.at(index - news.length);
            const offset = start - virtualizer.options.scrollMargin;
            return item ? (
              <EventRow
                key={key}
                index={index}
                offset={offset}
                item={item}
                organizationId={query.organization_id}
                nameOf={nameOf}
                opened={item.leaf_index === opened}
                onKeyDown={moveFocus}
              />
            ) : (
              <RowToCome key={key} index={index} offset={offset} />
            );
          })}
        </div>
      </div>
      <ErrorState error={pages.error} onRetry={pages.retry} />
      {pages.complete && <End count={count} />}
    </>
  );
}

/** Row heights follow the font size that the user has set. */
function rem(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
}

/** Where the list begins on the page. */
function useTopOf(list: RefObject<HTMLElement | null>): number {
  const [top, setTop] = useState(0);
  // The content above the list may change its height with the filters.
  useLayoutEffect(() => {
    const measure = () => setTop(Math.round(list.current!.getBoundingClientRect().top + window.scrollY));
    const observer = new ResizeObserver(measure);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, [list]);
  return top;
}

/** Moves the focus from event to event. */
function useArrowKeys(list: RefObject<HTMLElement | null>, virtualizer: Virtualizer<Window, Element>) {
  return useCallback(
    (event: KeyboardEvent<HTMLElement>) => {
      const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (by === undefined) return;
      event.preventDefault();
      const index = Number(event.currentTarget.closest<HTMLElement>('[data-index]')!.dataset['index']) + by;
      const link = list.current!.querySelector<HTMLElement>(`[data-index="${index}"] a`);
      if (!link) return;
      link.focus({ preventScroll: true });
      virtualizer.scrollToIndex(index, { align: 'auto' });
    },
    [list, virtualizer],
  );
}

function Head() {
  return (
    <div role="rowgroup">
      <div className="events-head" role="row" aria-rowindex={1}>
        <span role="columnheader">
          <VisuallyHidden>Kind</VisuallyHidden>
        </span>
        <span role="columnheader">Time</span>
        <span role="columnheader">Event</span>
        <span role="columnheader">Type</span>
        <span role="columnheader">Address</span>
      </div>
    </div>
  );
}

function End({ count }: { readonly count: number }) {
  return (
    <Text c="dimmed" size="sm" ta="center" py="md">
      {count === 1 ? 'One event. There are no older events.' : `${counted(count, 'event')}. There are no older events.`}
    </Text>
  );
}

interface PlaceProps {
  readonly index: number;
  readonly offset: number;
}

interface EventRowProps extends PlaceProps {
  readonly item: AuditEvent;
  readonly organizationId: string;
  readonly nameOf: NameOf;
  readonly opened: boolean;
  readonly onKeyDown: (event: KeyboardEvent<HTMLElement>) => void;
}

const EventRow = memo(function EventRow({
  index,
  offset,
  item: { leaf_index, event },
  organizationId,
  nameOf,
  opened,
  onKeyDown,
}: EventRowProps) {
  const ip = event.data['ip'];
  return (
    <Row index={index} offset={offset} opened={opened}>
      <span role="cell">
        <EventIcon type={event.type} />
      </span>
      <span role="cell" className="event-aside event-time">
        <time dateTime={event.time} title={`${fullTime(event.time)} · ${utcTime(event.time)}`}>
          {localTime(event.time)}
        </time>
      </span>
      <span role="cell" className="event-what">
        <Link
          className="row-link event-link"
          to="."
          search={(before) => ({ ...before, event: leaf_index })}
          resetScroll={false}
          preload={false}
          onKeyDown={onKeyDown}
        >
          <Sentence parts={sentenceOf(event)} nameOf={nameOf} />
        </Link>
      </span>
      <span role="cell" className="event-aside event-mono event-type">
        {event.type}
      </span>
      <span role="cell" className="event-aside event-mono event-address">
        {typeof ip === 'string' && (
          <Link
            className="event-from"
            to="/org/$organizationId/audit/from/$address"
            params={{ organizationId, address: addressParameter(ip) }}
            preload={false}
            title={`All activity from ${ip}`}
          >
            {ip}
          </Link>
        )}
      </span>
    </Row>
  );
});

function RowToCome(place: PlaceProps) {
  return (
    <Row {...place}>
      <span role="cell" />
      <span role="cell" className="event-time">
        <Skeleton height={12} width={120} />
      </span>
      <span role="cell" className="event-what">
        <VisuallyHidden>Loading</VisuallyHidden>
        <Skeleton height={12} width="60%" />
      </span>
      <span role="cell" className="event-type" />
      <span role="cell" className="event-address" />
    </Row>
  );
}

interface RowProps extends PlaceProps {
  readonly opened?: boolean;
  readonly children: ReactNode;
}

function Row({ index, offset, opened, children }: RowProps) {
  return (
    <div
      className="event"
      role="row"
      aria-rowindex={index + 2}
      data-index={index}
      data-opened={opened || undefined}
      style={{ transform: `translateY(${offset}px)` }}
    >
      {children}
    </div>
  );
}
