import type { KeyAction } from './actions.js';
import type { ApiKey } from './api-keys.js';
import type { ApiKeysSearch } from './api-keys-search.js';
import type { RowSelection } from './key-selection.js';
import type { UsesByDay } from './use-key-list.js';

export interface KeysProps {
  readonly apiKeys: readonly ApiKey[];
  readonly total: number;
  readonly stale: boolean;
  readonly usesByDay: UsesByDay;
  readonly projectNames: ReadonlyMap<string, string>;
  /** The names of members. Undefined while they load. */
  readonly owners: ReadonlyMap<string, string> | undefined;
  readonly sort: Sort;
  readonly onSort: (sort: Sort) => void;
  /** Enables or disables a key. Undefined for a user who may only read keys, like `onAction`. */
  readonly onSwitch: ((apiKey: ApiKey, enabled: boolean) => void) | undefined;
  readonly onAction: ((apiKey: ApiKey, action: KeyAction) => void) | undefined;
  /** Undefined for a user who may only read keys. */
  readonly selection: RowSelection | undefined;
  readonly loadMore: (() => void) | undefined;
}

export type Sort = NonNullable<ApiKeysSearch['sort']>;

export function ownerOf({ accountable_user_id: id }: ApiKey, owners: KeysProps['owners']): string {
  return owners ? (owners.get(id) ?? 'A former member') : '';
}
