import { Button, Group, Paper, Text } from '@mantine/core';
import { IconPlayerPause, IconPlayerPlay, IconX } from '@tabler/icons-react';
import type { BulkAction } from '#libs/contract/bulk-changes.js';
import { counted } from '../ui/format.js';
import type { KeySelection } from './key-selection.js';

interface Props {
  readonly selection: KeySelection;
  readonly total: number;
  /** Whether there are filters. Without them, "all" would be every key of the organization. */
  readonly filtered: boolean;
  readonly onAction: (action: BulkAction) => void;
}

/** What can be done with the selected keys. Lies over the end of the list, so that nothing moves when it appears. */
export function BulkBar({ selection, total, filtered, onAction }: Props) {
  const { ids, isAll, selectAll, clear, loaded } = selection;
  if (!isAll && ids.size === 0) return null;
  const offersAll = !isAll && filtered && loaded === 'all' && total > ids.size;
  return (
    <Paper component="section" className="bulk-bar" withBorder shadow="md" p="xs" aria-label="Selected keys">
      <Group gap="xs" justify="space-between">
        <Group gap="xs">
          <Text size="sm" fw={500} role="status">
            {isAll ? `All ${counted(total, 'matching key')} are selected` : `${counted(ids.size, 'key')} selected`}
          </Text>
          {offersAll && (
            <Button variant="subtle" size="compact-sm" onClick={selectAll}>
              Select all {counted(total, 'key')} found
            </Button>
          )}
          <Button variant="subtle" color="gray" size="compact-sm" onClick={clear}>
            Clear selection
          </Button>
        </Group>
        <Group gap="xs">
          <Button
            variant="default"
            size="xs"
            leftSection={<IconPlayerPlay size={14} />}
            onClick={() => onAction('enable')}
          >
            Enable …
          </Button>
          <Button
            variant="default"
            size="xs"
            leftSection={<IconPlayerPause size={14} />}
            onClick={() => onAction('disable')}
          >
            Disable …
          </Button>
          <Button color="red" size="xs" leftSection={<IconX size={14} />} onClick={() => onAction('revoke')}>
            Revoke …
          </Button>
        </Group>
      </Group>
    </Paper>
  );
}
