import { Skeleton, Table, Text, UnstyledButton, VisuallyHidden } from '@mantine/core';
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react';
import { memo } from 'react';
import { Time } from '../ui/time.js';
import type { ApiKey } from './api-keys.js';
import { EnvironmentCell, NameCell, PublicKeyCell, ScopesCell, StatusCell, UsesCell } from './key-cells.js';
import { KeyMenu } from './key-menu.js';
import { ownerOf, type KeysProps, type Sort } from './listed-keys.js';
import type { RowSelection } from './key-selection.js';
import { SelectKey, SelectLoaded } from './select-key.js';
import { useRowsInSight } from './use-key-list.js';

type SortField = 'name' | 'created_at' | 'last_used_at' | 'usage_count' | 'expires_at';

const ROW_HEIGHT = 56;

export function KeysTable({ sort, onSort, stale, ...props }: KeysProps) {
  const { apiKeys, total, selection } = props;
  const { ref, items, top, height } = useRowsInSight<HTMLTableSectionElement>({ ...props, rowHeight: ROW_HEIGHT });
  const first = items[0];
  const last = items.at(-1);
  return (
    <Table className="keys-table" aria-label="API keys" aria-rowcount={total + 1} aria-busy={stale}>
      <Columns selects={selection !== undefined} />
      <Head {...{ sort, onSort, selection }} />
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
              owner={ownerOf(apiKey, props.owners)}
              onSwitch={props.onSwitch}
              onAction={props.onAction}
              onSelect={selection?.select}
              isSelected={selection?.has(apiKey.id) ?? false}
            />
          ) : (
            <Table.Tr key={index} aria-rowindex={index + 2}>
              <Table.Td colSpan={11}>
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

function Columns({ selects }: { readonly selects: boolean }) {
  return (
    <colgroup>
      {selects && <col style={{ width: 26 }} />}
      <col />
      <col style={{ width: 127 }} />
      <col style={{ width: 56 }} />
      <col style={{ width: '8%' }} />
      {/* "59 minutes ago" must fit. */}
      <col style={{ width: 113 }} />
      <col style={{ width: 113 }} />
      <col style={{ width: 100 }} />
      <col style={{ width: 104 }} />
      <col style={{ width: 148 }} />
      <col style={{ width: 40 }} />
    </colgroup>
  );
}

type SortProps = Pick<KeysProps, 'sort' | 'onSort'>;

function Head({ selection, ...props }: SortProps & Pick<KeysProps, 'selection'>) {
  return (
    <Table.Thead>
      <Table.Tr aria-rowindex={1}>
        {selection && (
          <Table.Th pr={0}>
            <SelectLoaded {...selection} />
          </Table.Th>
        )}
        <SortHeader {...props} field="name" label="Name" />
        <Table.Th>Public key</Table.Th>
        <Table.Th>
          <abbr title="Environment" className="quiet">
            Env.
          </abbr>
        </Table.Th>
        <Table.Th>Scopes</Table.Th>
        <SortHeader {...props} field="created_at" label="Created" title="When, and the member behind the key" />
        <SortHeader {...props} field="last_used_at" label="Last used" />
        <SortHeader {...props} field="usage_count" label="Uses" title="Uses in the last 14 days, and in total" />
        <SortHeader {...props} field="expires_at" label="Expires" />
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
  readonly owner: string;
  readonly isSelected: boolean;
  /** Undefined for a user who may only read keys. */
  readonly onSelect: RowSelection['select'] | undefined;
}

const Row = memo(function Row({ index, apiKey, project, days, owner, ...props }: RowProps) {
  const { onSwitch, onAction, onSelect, isSelected } = props;
  return (
    <Table.Tr aria-rowindex={index + 2}>
      {onSelect && (
        <Table.Td pr={0}>
          <SelectKey name={apiKey.name} {...{ index, isSelected, onSelect }} />
        </Table.Td>
      )}
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
        <Text size="xs" c="dimmed" truncate title={owner}>
          {owner}
        </Text>
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
  readonly title?: string;
}

function SortHeader({ field, label, title, sort, onSort }: SortHeaderProps) {
  const ascending = sort === field;
  const descending = sort === `-${field}`;
  // The first click sorts names from A, expiries from the next, and others from the newest or largest. The second click
  // reverses the order.
  const upFirst = field === 'name' || field === 'expires_at';
  const next: Sort = upFirst ? (ascending ? `-${field}` : field) : descending ? field : `-${field}`;
  const Icon = ascending || (!descending && upFirst) ? IconArrowUp : IconArrowDown;
  return (
    <Table.Th title={title} aria-sort={ascending ? 'ascending' : descending ? 'descending' : 'none'}>
      <UnstyledButton className="sort-button" onClick={() => onSort(next)}>
        {label}
        <Icon size={12} aria-hidden />
      </UnstyledButton>
    </Table.Th>
  );
}
