import { Button, Group, Loader, Menu, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconDownload } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import type { exportFormats } from '#libs/contract/audit.js';
import { api } from '../session/session.js';
import { sentenceOf } from '../ui/error-state.js';
import type { EventQuery } from './audit-search.js';
import { chooseTarget } from './download.js';

type Format = keyof typeof exportFormats;

/** Exports everything that the filters match, including events that are not on the screen. */
export function ExportMenu({ query }: { readonly query: () => EventQuery }) {
  const [bytes, setBytes] = useState(0);
  const leaving = useRef<AbortController>(null);
  const run = useMutation({
    mutationFn: async (format: Format) => {
      const { organization_id } = query();
      const name = `audit-${organization_id}-${new Date().toISOString().slice(0, 10)}.${format}`;
      const target = await chooseTarget(name);
      if (!target) return;
      const { signal } = (leaving.current = new AbortController());
      setBytes(0);
      try {
        const response = await api.audit.exportEvents({ query: { ...query(), format } });
        await target.save(response, setBytes, signal);
        notifications.show({ message: `Exported to ${name}` });
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    },
    onError: (error) =>
      notifications.show({ color: 'red', title: 'The export is not complete', message: sentenceOf(error) }),
  });
  useEffect(() => () => leaving.current?.abort(), []);

  if (run.isPending) {
    return (
      <Group gap="xs" role="status" wrap="nowrap">
        <Loader size={14} />
        <Text size="sm">Exporting, {size(bytes)}</Text>
        <Button size="xs" variant="default" onClick={() => leaving.current?.abort()}>
          Cancel
        </Button>
      </Group>
    );
  }
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button variant="default" leftSection={<IconDownload size={16} />}>
          Export
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>All events that match the filters</Menu.Label>
        <Menu.Item onClick={() => run.mutate('jsonl')}>JSON Lines, exact</Menu.Item>
        <Menu.Item onClick={() => run.mutate('csv')}>CSV, for a spreadsheet</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function size(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
