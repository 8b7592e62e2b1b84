import { Box, Code, Group, Stack, Text } from '@mantine/core';
import { CopyButton } from '../ui/copy-button.js';
import { Section } from '../ui/section.js';
import { auditorCommands } from './commands.js';

interface Props {
  readonly organizationId: string;
  readonly vkey: string | undefined;
}

/** How an auditor verifies the log without this page. */
export function AuditorCommands({ organizationId, vkey }: Props) {
  return (
    <Section
      title="For auditors"
      description="The command line verifies the same on a machine of yours. Keep its state where the people who run this deployment cannot change it."
    >
      <Stack gap="md">
        {auditorCommands({ url: window.location.origin, organizationId, vkey }).map(({ purpose, command }) => (
          <div key={purpose}>
            <Group justify="space-between" wrap="nowrap">
              <Text size="sm">{purpose}</Text>
              <CopyButton value={command} label={`Copy the command: ${purpose}`} />
            </Group>
            <Box role="region" aria-label={purpose} tabIndex={0} className="exact-text">
              <Code block>{command}</Code>
            </Box>
          </div>
        ))}
      </Stack>
    </Section>
  );
}
