import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { MOST_KEYS_AT_ONCE } from '#libs/contract/bulk-changes.js';
import type { ApiKey } from './api-keys.js';

const NONE: ReadonlySet<string> = new Set();

/** What the list needs to show which keys are selected. */
export interface RowSelection {
  readonly has: (id: string) => boolean;
  /** Selects or deselects a key; with `through`, all keys from the one that was selected last. */
  readonly select: (index: number, isSelected: boolean, through: boolean) => void;
  /** Selects or deselects the keys that are loaded. */
  readonly selectLoaded: (isSelected: boolean) => void;
  /** How many loaded keys are selected. */
  readonly loaded: 'none' | 'some' | 'all';
}

export interface KeySelection extends RowSelection {
  readonly ids: ReadonlySet<string>;
  /** All keys that the filters find, loaded or not. */
  readonly isAll: boolean;
  readonly selectAll: () => void;
  readonly clear: () => void;
}

/**
 * The selected keys of a list.
 * @param filters the filters as text: with others, nothing is selected
 */
export function useKeySelection(apiKeys: readonly ApiKey[], filters: string): KeySelection {
  const [state, setState] = useState({ filters, ids: NONE, isAll: false });
  const { ids, isAll } = state.filters === filters ? state : { ids: NONE, isAll: false };
  const last = useRef<string>(undefined);
  const rows = useRef(apiKeys);
  useEffect(() => {
    rows.current = apiKeys;
  }, [apiKeys]);
  const setIds = useCallback(
    (change: (before: ReadonlySet<string>) => Iterable<string>) =>
      setState((before) => {
        const all = before.isAll ? new Set(rows.current.map(({ id }) => id)) : before.ids;
        const next = [...change(before.filters === filters ? all : NONE)];
        return { filters, ids: new Set(next.slice(0, MOST_KEYS_AT_ONCE)), isAll: false };
      }),
    [filters],
  );
  const select = useCallback(
    (index: number, isSelected: boolean, through: boolean) => {
      const from = through ? rows.current.findIndex(({ id }) => id === last.current) : -1;
      const [first, end] = from < 0 ? [index, index] : [Math.min(from, index), Math.max(from, index)];
      const chosen = new Set(rows.current.slice(first, end + 1).map(({ id }) => id));
      last.current = rows.current[index]?.id;
      setIds((before) => (isSelected ? [...before, ...chosen] : [...before].filter((id) => !chosen.has(id))));
    },
    [setIds],
  );
  const selectLoaded = useCallback(
    (isSelected: boolean) => setIds(() => (isSelected ? rows.current.map(({ id }) => id) : NONE)),
    [setIds],
  );
  const isWhole = apiKeys.length > 0 && apiKeys.slice(0, MOST_KEYS_AT_ONCE).every(({ id }) => ids.has(id));
  return useMemo(
    () => ({
      ids,
      isAll,
      has: (id) => isAll || ids.has(id),
      select,
      selectLoaded,
      loaded: isAll || isWhole ? 'all' : ids.size > 0 ? 'some' : 'none',
      selectAll: () => setState({ filters, ids: NONE, isAll: true }),
      clear: () => setState({ filters, ids: NONE, isAll: false }),
    }),
    [ids, isAll, isWhole, select, selectLoaded, filters],
  );
}
