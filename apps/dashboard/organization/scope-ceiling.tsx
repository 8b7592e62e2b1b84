import { Code, Group, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { scopeInWords, scopesQuery } from './scopes.js';

/** The upper limit of the scopes of an organization's keys. */
export function ScopeCeiling({ ceiling }: { readonly ceiling: readonly string[] | null }) {
  const { data: known = [] } = useQuery(scopesQuery);
  if (ceiling === null) return <Text>No limit: each key has all of its own scopes.</Text>;
  if (ceiling.length === 0) return <Text>No scopes: keys of this organization cannot do anything.</Text>;
  return (
    <Stack gap="xs">
      <Text>Its keys have at most these scopes:</Text>
      <Stack component="ul" gap={6} m={0} p={0}>
        {ceiling.map((scope) => (
          <Group component="li" key={scope} gap="sm">
            <Code>{scope}</Code>
            <Text size="sm" c="dimmed">
              {scopeInWords(scope, known)}
            </Text>
          </Group>
        ))}
      </Stack>
    </Stack>
  );
}
