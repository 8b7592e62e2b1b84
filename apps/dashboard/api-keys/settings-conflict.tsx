import { Alert, Button, Group, Table } from '@mantine/core';
import { IconGitMerge } from '@tabler/icons-react';
import type { SettingsForm } from './key-form.js';
import { settingInWords, settingLabels } from './settings-in-words.js';

interface Props {
  readonly own: readonly (keyof SettingsForm)[];
  readonly theirs: readonly (keyof SettingsForm)[];
  readonly now: SettingsForm;
  readonly values: SettingsForm;
  readonly onTake: () => void;
  readonly onKeep: () => void;
}

/** Shows both versions before the user decides which one to keep. */
export function SettingsConflict({ own, theirs, now, values, onTake, onKeep }: Props) {
  return (
    <Alert color="orange" icon={<IconGitMerge />} title="This key changed while you were editing it" role="alert">
      <Table mb="sm" fz="sm">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Field</Table.Th>
            <Table.Th>Current value</Table.Th>
            <Table.Th>Your value</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {theirs.map((field) => (
            <Table.Tr key={field}>
              <Table.Th scope="row">{settingLabels[field]}</Table.Th>
              <Table.Td className="wraps">{settingInWords(now, field)}</Table.Td>
              <Table.Td className="wraps">
                {settingInWords(values, field)}
                {!own.includes(field) && ' (you did not change it)'}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Group gap="xs">
        <Button variant="default" size="xs" onClick={onTake}>
          Use the current values
        </Button>
        <Button variant="default" size="xs" onClick={onKeep}>
          Keep my changes
        </Button>
      </Group>
    </Alert>
  );
}
