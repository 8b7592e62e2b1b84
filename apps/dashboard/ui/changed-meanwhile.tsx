import { Alert, Button, Group, Stack, Text } from '@mantine/core';
import { IconGitMerge } from '@tabler/icons-react';
import { ApiError } from '#libs/client/client.js';

interface Props {
  /** The current values, by the labels of the fields. */
  readonly now: Readonly<Record<string, string>>;
  readonly onTake: () => void;
  readonly onReplace: () => void;
}

/** Shown above a form if another user changed the object first. Nothing that the user typed is lost. */
export function ChangedMeanwhile({ now, onTake, onReplace }: Props) {
  return (
    <Alert color="orange" variant="light" icon={<IconGitMerge />} title="Somebody changed it meanwhile" role="alert">
      <Stack gap="xs" align="flex-start">
        <Text>Nothing was saved. It now says:</Text>
        {Object.entries(now).map(([label, value]) => (
          <Text key={label}>
            {label}: <strong>{value || 'nothing'}</strong>
          </Text>
        ))}
        <Group gap="xs">
          <Button size="xs" variant="default" onClick={onTake}>
            Take this
          </Button>
          <Button size="xs" variant="default" onClick={onReplace}>
            Save mine instead
          </Button>
        </Group>
      </Stack>
    </Alert>
  );
}

export function isChangedMeanwhile(error: unknown): boolean {
  return error instanceof ApiError && error.problem.code === 'precondition_failed';
}
