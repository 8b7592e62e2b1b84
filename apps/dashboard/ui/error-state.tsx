import { Alert, Button, Group, List, Stack, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { ApiError } from '#libs/client/client.js';
import { problems } from '#libs/contract/problem.js';
import { MissingPart } from '../session/load-part.js';
import { Unreachable } from '../session/reachability.js';
import { fieldSentence } from './field-errors.js';
import { CopyButton } from './copy-button.js';

interface Props {
  /** Without an error, nothing is rendered. */
  readonly error: unknown;
  readonly onRetry?: () => void;
}

/** Shows the API's error: its `detail` is written for people. If it says no more than the title, shows what to do. */
export function ErrorState({ error, onRetry }: Props) {
  if (!error) return null;
  const problem = error instanceof ApiError ? error.problem : undefined;
  const title = titleOf(error);
  const sentence = problem?.detail === title ? problems[problem.code].advice : sentenceOf(error);
  return (
    <Alert color="red" variant="light" icon={<IconAlertTriangle />} title={title} role="alert">
      <Stack gap="xs" align="flex-start">
        <Text>{sentence}</Text>
        {problem?.errors && (
          <List>
            {problem.errors.map((one) => (
              <List.Item key={one.location + one.message}>{fieldSentence(one)}</List.Item>
            ))}
          </List>
        )}
        {problem && (
          <Group gap={4} wrap="nowrap">
            <Text size="xs" style={{ overflowWrap: 'anywhere' }}>
              {problem.code}, {problem.request_id}
            </Text>
            <CopyButton value={problem.request_id} label="Copy the request's id" />
          </Group>
        )}
        {onRetry && (
          <Button variant="default" size="xs" onClick={onRetry}>
            Try again
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

function titleOf(error: unknown): string {
  if (error instanceof ApiError) return error.problem.title;
  if (error instanceof MissingPart) return 'A part of this page could not be loaded';
  return error instanceof Unreachable ? 'Keyledger cannot be reached' : 'Something went wrong on this page';
}

/** The error in one sentence; also used in notifications. */
export function sentenceOf(error: unknown): string {
  if (error instanceof ApiError) return error.problem.detail;
  if (error instanceof Unreachable)
    return 'Check your connection. Before you try again, check whether the change was made.';
  if (error instanceof MissingPart) return 'Reload the page in the browser. If this does not help, tell an operator.';
  return error instanceof Error ? error.message : String(error);
}
