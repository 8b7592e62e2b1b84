import { useDocumentVisibility } from '@mantine/hooks';
import { useEffect, useEffectEvent, useRef, useState } from 'react';
import { ApiError } from '#libs/client/client.js';
import { readEventStream } from '#libs/client/event-stream.js';
import { AuditEvent } from '#libs/contract/audit.js';
import { pause } from '../session/pause.js';
import { isAway } from '../session/reachability.js';
import { api, SignedOut } from '../session/session.js';
import type { TailQuery } from './audit-search.js';

export type TailState = 'off' | 'connecting' | 'live' | 'failed';

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

export interface Tail {
  readonly state: TailState;
  readonly error: unknown;
}

interface Options {
  readonly query: TailQuery;
  /** The index of the event to start after; undefined until it is known, null if the audit log had no events. */
  readonly after: number | null | undefined;
  readonly enabled: boolean;
  /** The tail goes on when it is done. */
  readonly onEvents: (events: readonly AuditEvent[]) => Promise<void>;
  /** Called if the tail started without a position: events since the list was loaded may be in neither. */
  readonly onBegin: () => void;
}

/**
 * Follows the audit log from the point where the list was loaded. A hidden tab closes its connection, because browsers
 * limit their number, and resumes at the same position.
 */
export function useLiveTail({ query, after, enabled, onEvents, onBegin }: Options): Tail {
  const visible = useDocumentVisibility() !== 'hidden';
  const key = JSON.stringify([query, after]);
  const [state, setState] = useState<TailState>('off');
  const [error, setError] = useState<unknown>(null);
  const place = useRef<{ key: string; last: number | null }>({ key: '', last: null });
  const tell = useEffectEvent(onEvents);
  const begin = useEffectEvent(onBegin);
  const currentQuery = useEffectEvent(() => query);
  const on = enabled && after !== undefined;

  useEffect(() => {
    if (!on || !visible) return undefined;
    if (place.current.key !== key) place.current = { key, last: after };
    const here = place.current;
    const leaving = new AbortController();
    const { signal } = leaving;

    const read = async () => {
      const began = here.last === null;
      const headers = here.last === null ? {} : { 'last-event-id': String(here.last) };
      const response = await api.audit.tail({ query: currentQuery(), headers });
      for await (const { events, lastId } of readEventStream(response.body!, signal)) {
        if (signal.aborted) return;
        if (began && here.last === null) begin();
        setState('live');
        here.last = lastId === undefined ? here.last : Number(lastId);
        if (events.length > 0) await tell(events.map(({ data }) => AuditEvent.parse(JSON.parse(data))));
      }
    };
    const follow = async () => {
      setError(null);
      for (let wait = FIRST_WAIT_MS; !signal.aborted; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
        setState('connecting');
        const began = Date.now();
        try {
          await read();
        } catch (reason) {
          // oxlint-disable-next-line typescript/no-unnecessary-condition -- it may be aborted while `read` waits
          if (signal.aborted) return;
          if (reason instanceof SignedOut || (reason instanceof ApiError && !isAway(reason))) {
            setState('failed');
            setError(reason);
            return;
          }
        }
        if (Date.now() - began > LONGEST_WAIT_MS) wait = FIRST_WAIT_MS;
        await pause(wait, signal);
      }
    };
    void follow();
    return () => {
      leaving.abort();
      setState('off');
    };
  }, [on, visible, key, after]);

  return { state, error };
}
