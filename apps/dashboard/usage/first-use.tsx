import { Box, Code, Group, Paper, Stack, Text, Title } from '@mantine/core';
import { CopyButton } from '../ui/copy-button.js';
import { TextLink } from '../ui/links.js';

/** Shown before the first request: explains how to send one. */
export function FirstUse({ organizationId }: { readonly organizationId: string }) {
  const line = `curl -i -H "X-API-Key: $KEY" ${window.location.origin}/authz`;
  return (
    <Paper component="section" withBorder p="lg" aria-label="The first use">
      <Stack gap="sm">
        <Title order={2}>No key was used in this period</Title>
        <Text>
          <TextLink to="/org/$organizationId/settings/api-keys" params={{ organizationId }}>
            Create a key
          </TextLink>
          , put it into <Code>KEY</Code>, and verify it as a gateway does. The use appears here within a moment:
        </Text>
        <Group gap="xs" wrap="nowrap">
          <Box role="region" aria-label="The first use, as a command" tabIndex={0} className="command">
            <Code block>{line}</Code>
          </Box>
          <CopyButton value={line} label="Copy the command" />
        </Group>
      </Stack>
    </Paper>
  );
}
