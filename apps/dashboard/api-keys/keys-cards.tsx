import { Group, Skeleton, Text } from '@mantine/core';
import { memo } from 'react';
import { Time } from '../ui/time.js';
import { EnvironmentCell, NameCell, PublicKeyCell, ScopesCell, StatusCell, UsesCell } from './key-cells.js';
import { endOf } from './key-end.js';
import { KeyMenu } from './key-menu.js';
import { ownerOf, type KeysProps } from './listed-keys.js';
import type { ApiKey } from './api-keys.js';
import type { RowSelection } from './key-selection.js';
import { SelectKey } from './select-key.js';
import { useRowsInSight } from './use-key-list.js';

const CARD_HEIGHT = 138;

/** Shows the keys as cards if there is no room for the columns of the table. */
export function KeysCards({ stale, ...props }: KeysProps) {
  const { apiKeys, total, selection } = props;
  const { ref, items, top, height } = useRowsInSight<HTMLUListElement>({ ...props, rowHeight: CARD_HEIGHT });
  return (
    <ul
      ref={ref}
      className={stale ? 'keys-cards stale' : 'keys-cards'}
      aria-label="API keys"
      aria-busy={stale}
      style={{ height }}
    >
      {items.map(({ index, start }) => {
        const apiKey = apiKeys[index];
        return (
          <li
            key={apiKey?.id ?? index}
            aria-setsize={total}
            aria-posinset={index + 1}
            style={{ transform: `translateY(${start - top}px)` }}
          >
            {apiKey ? (
              <Card
                apiKey={apiKey}
                project={apiKey.project_id ? props.projectNames.get(apiKey.project_id) : undefined}
                days={props.usesByDay.get(apiKey.id)}
                owner={ownerOf(apiKey, props.owners)}
                onSwitch={props.onSwitch}
                onAction={props.onAction}
                index={index}
                onSelect={selection?.select}
                isSelected={selection?.has(apiKey.id) ?? false}
              />
            ) : (
              <Skeleton height={80} />
            )}
          </li>
        );
      })}
    </ul>
  );
}

interface CardProps extends Pick<KeysProps, 'onSwitch' | 'onAction'> {
  readonly apiKey: ApiKey;
  readonly project: string | undefined;
  readonly days: readonly number[] | undefined;
  readonly owner: string;
  readonly index: number;
  readonly isSelected: boolean;
  /** Undefined for a user who may only read keys. */
  readonly onSelect: RowSelection['select'] | undefined;
}

const Card = memo(function Card({ apiKey, project, days, owner, index, ...props }: CardProps) {
  const { onSwitch, onAction, onSelect, isSelected } = props;
  return (
    <>
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <Group gap="sm" wrap="nowrap" miw={0}>
          {onSelect && <SelectKey name={apiKey.name} {...{ index, isSelected, onSelect }} />}
          <div style={{ minWidth: 0 }}>
            <NameCell apiKey={apiKey} project={project} />
          </div>
        </Group>
        <Group gap={4} wrap="nowrap" flex="none">
          <StatusCell apiKey={apiKey} onSwitch={onSwitch} />
          <KeyMenu apiKey={apiKey} onSwitch={onSwitch} onAction={onAction} />
        </Group>
      </Group>
      <Group gap="sm" wrap="nowrap" justify="space-between">
        <Group gap="xs" wrap="nowrap" miw={0}>
          <EnvironmentCell apiKey={apiKey} />
          <Text truncate size="sm">
            <ScopesCell apiKey={apiKey} />
          </Text>
        </Group>
        <PublicKeyCell apiKey={apiKey} />
      </Group>
      <Group gap="xs" justify="space-between" wrap="nowrap">
        <Text size="xs" c="dimmed">
          {apiKey.last_used_at !== null && 'Used '}
          <Time at={apiKey.last_used_at} otherwise="Never used" />
        </Text>
        <UsesCell apiKey={apiKey} days={days} />
      </Group>
      <Group gap="xs" justify="space-between" wrap="nowrap">
        {/* The name of the owner alone may be cut. */}
        <Text size="xs" c="dimmed" truncate>
          Created <Time at={apiKey.created_at} />
          {owner && ` by ${owner}`}
        </Text>
        <EndInShort apiKey={apiKey} />
      </Group>
    </>
  );
});

function EndInShort({ apiKey }: { readonly apiKey: ApiKey }) {
  const end = endOf(apiKey);
  if (!end && !apiKey.expires_at) return null;
  return (
    <Text size="xs" c="dimmed" flex="none">
      {end ? 'Ended' : 'Ends'} <Time at={end ?? apiKey.expires_at} />
    </Text>
  );
}
