import { Skeleton, Table, UnstyledButton, VisuallyHidden } from '@mantine/core';
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react';
import { memo } from 'react';
import { Time } from '../ui/time.js';
import type { KeyAction } from './actions.js';
import type { ApiKey } from './api-keys.js';
import type { ApiKeysSearch } from './api-keys-search.js';
import { EnvironmentCell, NameCell, PublicKeyCell, ScopesCell, StatusCell, UsesCell } from './key-cells.js';
import { KeyMenu } from './key-menu.js';
import { useRowsInSight, type UsesByDay } from './use-key-list.js';

export interface KeysProps {
  readonly apiKeys: readonly ApiKey[];
  readonly total: number;
  readonly stale: boolean;
  readonly usesByDay: UsesByDay;
  readonly projectNames: ReadonlyMap<string, string>;
  readonly sort: Sort;
  readonly onSort: (sort: Sort) => void;
  /** Enables or disables a key. Undefined for a user who may only read keys, like `onAction`. */
  readonly onSwitch: ((apiKey: ApiKey, enabled: boolean) => void) | undefined;
  readonly onAction: ((apiKey: ApiKey, action: KeyAction) => void) | undefined;
  readonly loadMore: (() => void) | undefined;
}

export type Sort = NonNullable<ApiKeysSearch['sort']>;
type SortField = 'name' | 'created_at' | 'last_used_at';

const ROW_HEIGHT = 56;

export function KeysTable({ sort, onSort, stale, ...props }: KeysProps) {
  const { apiKeys, total } = props;
  const { ref, items, top, height } = useRowsInSight<HTMLTableSectionElement>({ ...props, rowHeight: ROW_HEIGHT });
  const first = items[0];
  const last = items.at(-1);
  return (
    <Table className="keys-table" aria-label="API keys" aria-rowcount={total + 1} aria-busy={stale}>
      <Columns />
      <Head sort={sort} onSort={onSort} />
      <Table.Tbody ref={ref} className={stale ? 'stale' : undefined}>
        {first && first.start > top && <Spacer height={first.start - top} />}
        {items.map(({ index }) => {
          const apiKey = apiKeys[index];
          return apiKey ? (
            <Row
              key={apiKey.id}
              index={index}
              apiKey={apiKey}
              project={apiKey.project_id ? props.projectNames.get(apiKey.project_id) : undefined}
              days={props.usesByDay.get(apiKey.id)}
              onSwitch={props.onSwitch}
              onAction={props.onAction}
            />
          ) : (
            <Table.Tr key={index} aria-rowindex={index + 2}>
              <Table.Td colSpan={10}>
                <Skeleton height={14} />
              </Table.Td>
            </Table.Tr>
          );
        })}
        {last && last.end - top < height && <Spacer height={height - (last.end - top)} />}
      </Table.Tbody>
    </Table>
  );
}

function Columns() {
  return (
    <colgroup>
      <col />
      <col style={{ width: 130 }} />
      <col style={{ width: 56 }} />
      <col style={{ width: '12%' }} />
      <col style={{ width: 112 }} />
      <col style={{ width: 112 }} />
      <col style={{ width: 108 }} />
      <col style={{ width: 104 }} />
      <col style={{ width: 154 }} />
      <col style={{ width: 40 }} />
    </colgroup>
  );
}

type SortProps = Pick<KeysProps, 'sort' | 'onSort'>;

function Head(props: SortProps) {
  return (
    <Table.Thead>
      <Table.Tr aria-rowindex={1}>
        <SortHeader {...props} field="name" label="Name" />
        <Table.Th>Public key</Table.Th>
        <Table.Th>
          <abbr title="Environment" className="quiet">
            Env.
          </abbr>
        </Table.Th>
        <Table.Th>Scopes</Table.Th>
        <SortHeader {...props} field="created_at" label="Created" />
        <SortHeader {...props} field="last_used_at" label="Last used" />
        <Table.Th title="Uses in the last 14 days, and in total">Uses</Table.Th>
        <Table.Th>Expires</Table.Th>
        <Table.Th>Status</Table.Th>
        <Table.Th>
          <VisuallyHidden>Actions</VisuallyHidden>
        </Table.Th>
      </Table.Tr>
    </Table.Thead>
  );
}

/** Takes the place of rows that are out of sight. */
function Spacer({ height }: { readonly height: number }) {
  return <tr className="spacer" aria-hidden style={{ height }} />;
}

interface RowProps extends Pick<KeysProps, 'onSwitch' | 'onAction'> {
  readonly index: number;
  readonly apiKey: ApiKey;
  readonly project: string | undefined;
  readonly days: readonly number[] | undefined;
}

const Row = memo(function Row({ index, apiKey, project, days, onSwitch, onAction }: RowProps) {
  return (
    <Table.Tr aria-rowindex={index + 2}>
      <Table.Td>
        <NameCell apiKey={apiKey} project={project} />
      </Table.Td>
      <Table.Td>
        <PublicKeyCell apiKey={apiKey} />
      </Table.Td>
      <Table.Td>
        <EnvironmentCell apiKey={apiKey} />
      </Table.Td>
      <Table.Td>
        <ScopesCell apiKey={apiKey} />
      </Table.Td>
      <Table.Td>
        <Time at={apiKey.created_at} />
      </Table.Td>
      <Table.Td>
        <Time at={apiKey.last_used_at} />
      </Table.Td>
      <Table.Td>
        <UsesCell apiKey={apiKey} days={days} />
      </Table.Td>
      <Table.Td>{apiKey.status === 'revoked' ? '–' : <Time at={apiKey.expires_at} />}</Table.Td>
      <Table.Td>
        <StatusCell apiKey={apiKey} onSwitch={onSwitch} />
      </Table.Td>
      <Table.Td>
        <KeyMenu apiKey={apiKey} onSwitch={onSwitch} onAction={onAction} />
      </Table.Td>
    </Table.Tr>
  );
});

interface SortHeaderProps extends SortProps {
  readonly field: SortField;
  readonly label: string;
}

function SortHeader({ field, label, sort, onSort }: SortHeaderProps) {
  const ascending = sort === field;
  const descending = sort === `-${field}`;
  // The first click sorts names from A and times from the newest. The second click reverses the order.
  const next: Sort = field === 'name' ? (ascending ? '-name' : 'name') : descending ? field : `-${field}`;
  const Icon = ascending || (!descending && field === 'name') ? IconArrowUp : IconArrowDown;
  return (
    <Table.Th aria-sort={ascending ? 'ascending' : descending ? 'descending' : 'none'}>
      <UnstyledButton className="sort-button" onClick={() => onSort(next)}>
        {label}
        <Icon size={12} aria-hidden />
      </UnstyledButton>
    </Table.Th>
  );
}
