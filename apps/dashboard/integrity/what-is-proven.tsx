import { List, SimpleGrid, Stack, Text, Title } from '@mantine/core';
import { Section } from '../ui/section.js';

/** What a verification in a browser means, in the words of docs/audit.md. */
export function WhatIsProven() {
  return (
    <Section title="What this proves">
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="lg">
        <Stack gap="xs">
          <Title order={3}>Proven</Title>
          <List spacing={6}>
            <List.Item>
              Since the first checkpoint that this browser verified, nothing was changed, removed, inserted or reordered
              in the entries of a verified checkpoint.
            </List.Item>
            <List.Item>
              An event that is “verified in this browser” is in the log, byte for byte as it is shown.
            </List.Item>
            <List.Item>A receipt proves its event to anyone who has the public key, without this deployment.</List.Item>
          </List>
        </Stack>
        <Stack gap="xs">
          <Title order={3}>Not proven</Title>
          <List spacing={6}>
            <List.Item>
              That the first checkpoint was right, or that the key is the right one: get it from the people who run this
              deployment in another way, and compare.
            </List.Item>
            <List.Item>That you see what others see: compare checkpoints of the same size with them.</List.Item>
            <List.Item>That an event happened as it says. It was recorded so, and not changed since.</List.Item>
            <List.Item>
              That this page is honest: the server that is verified also serves the page. The command line on your own
              machine does not depend on it.
            </List.Item>
          </List>
        </Stack>
      </SimpleGrid>
      <Text size="sm" c="dimmed" mt="md">
        The formats are public: C2SP tlog-tiles, tlog-checkpoint and tlog-proof, with the Merkle tree of RFC 6962.
      </Text>
    </Section>
  );
}
