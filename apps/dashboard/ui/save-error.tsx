import { Alert, Button, Group, Stack, Text } from '@mantine/core';
import { IconGitMerge } from '@tabler/icons-react';
import { ApiError } from '#libs/client/client.js';
import { ErrorState } from './error-state.js';
import { FormError } from './form-error.js';

interface ConflictProps {
  /** The current values, by the labels of the fields. */
  readonly now: Readonly<Record<string, string>>;
  readonly onTake: () => void;
  readonly onReplace: () => void;
}

interface Props extends ConflictProps {
  readonly error: unknown;
  /** The call that reads the current values, made after another user changed the object. */
  readonly reading: { readonly isSuccess: boolean; readonly error: unknown; readonly mutate: () => void };
}

/** Shown above a form that was not saved. */
export function SaveError({ error, reading, ...conflict }: Props) {
  return (
    <>
      {isChangedMeanwhile(error) ? (
        reading.isSuccess && <ChangedMeanwhile {...conflict} />
      ) : (
        <FormError error={error} />
      )}
      <ErrorState error={reading.error} onRetry={reading.mutate} />
    </>
  );
}

/** Another user changed the object first. Nothing that the user typed is lost. */
function ChangedMeanwhile({ now, onTake, onReplace }: ConflictProps) {
  return (
    <Alert color="orange" variant="light" icon={<IconGitMerge />} title="Changed while you were editing" role="alert">
      <Stack gap="xs" align="flex-start">
        <Text>Your changes were not saved. The current values are:</Text>
        {Object.entries(now).map(([label, value]) => (
          <Text key={label}>
            {label}: <strong>{value || 'nothing'}</strong>
          </Text>
        ))}
        <Group gap="xs">
          <Button size="xs" variant="default" onClick={onTake}>
            Use the current values
          </Button>
          <Button size="xs" variant="default" onClick={onReplace}>
            Save my changes
          </Button>
        </Group>
      </Stack>
    </Alert>
  );
}

export function isChangedMeanwhile(error: unknown): boolean {
  return error instanceof ApiError && error.problem.code === 'precondition_failed';
}
