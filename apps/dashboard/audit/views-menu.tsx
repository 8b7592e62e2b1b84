import { ActionIcon, Button, Group, Popover, Stack, Text, TextInput } from '@mantine/core';
import { useDisclosure, useLocalStorage } from '@mantine/hooks';
import { IconBookmark, IconTrash } from '@tabler/icons-react';
import { useState } from 'react';
import { z } from 'zod';
import { AuditSearch, noFilters } from './audit-search.js';

interface Props {
  readonly organizationId: string;
  readonly search: AuditSearch;
  readonly onShow: (search: Partial<AuditSearch>) => void;
}

/** Filters with names. They are kept in this browser: the address of the page shares them with others. */
const Views = z.array(z.object({ name: z.string(), search: AuditSearch }));
const LONGEST_NAME = 60;

/** Filters that the user has saved under a name. */
export function ViewsMenu({ organizationId, search, onShow }: Props) {
  const [opened, popover] = useDisclosure(false);
  const [stored, setStored] = useLocalStorage<unknown>({
    key: `keyledger-audit-views-${organizationId}`,
    defaultValue: [],
    getInitialValueInEffect: false,
  });
  const views = Views.safeParse(stored).data ?? [];
  const without = (name: string) => views.filter((view) => view.name !== name);
  const save = (name: string) => {
    setStored([...without(name), { name, search: { ...search, event: undefined, live: undefined } }]);
  };
  return (
    <Popover opened={opened} onChange={popover.toggle} position="bottom-end" width={300} trapFocus withArrow>
      <Popover.Target>
        <Button variant="default" leftSection={<IconBookmark size={16} />} onClick={popover.toggle}>
          Views
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label="Views">
        <Stack gap="xs">
          {views.map((view) => (
            <Group key={view.name} gap="xs" wrap="nowrap" justify="space-between">
              <button
                type="button"
                className="text-button"
                onClick={() => {
                  onShow({ ...noFilters, ...view.search, event: undefined });
                  popover.close();
                }}
              >
                {view.name}
              </button>
              <ActionIcon
                variant="subtle"
                color="gray"
                aria-label={`Delete the view ${view.name}`}
                onClick={() => setStored(without(view.name))}
              >
                <IconTrash size={16} />
              </ActionIcon>
            </Group>
          ))}
          <SaveView onSave={save} />
          <Text size="xs" c="dimmed">
            Views are saved in this browser. To share one, copy the address of the page.
          </Text>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}

function SaveView({ onSave }: { readonly onSave: (name: string) => void }) {
  const [name, setName] = useState('');
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!name.trim()) return;
        onSave(name.trim());
        setName('');
      }}
    >
      <Group gap="xs" align="flex-end" wrap="nowrap">
        <TextInput
          label="Save these filters as"
          maxLength={LONGEST_NAME}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          flex={1}
        />
        <Button type="submit" disabled={!name.trim()}>
          Save
        </Button>
      </Group>
    </form>
  );
}
