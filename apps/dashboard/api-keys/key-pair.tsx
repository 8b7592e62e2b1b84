import { Alert, Box, Group, Stack, Tabs, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useEffect, useRef } from 'react';
import { CopyButton } from '../ui/copy-button.js';
import { envLine, snippets, type KeyPair } from './snippets.js';

interface Props {
  readonly pair: KeyPair;
  readonly onCopied: () => void;
}

/** Both halves of a new key, and snippets to begin with. */
export function KeyPairShown({ pair, onCopied }: Props) {
  const names = Object.keys(snippets) as (keyof typeof snippets)[];
  // Take the focus, because the form that had it is gone.
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => ref.current?.focus(), []);
  return (
    <Stack ref={ref} tabIndex={-1} className="arrival">
      <Alert color="yellow" icon={<IconAlertTriangle />} title="The secret key is shown only once">
        Copy it now and store it where only your servers can read it. It cannot be shown again.
      </Alert>
      <Shown label="Public key" value={pair.publicKey} hint="Identifies the key. It is not secret." />
      <Shown
        label="Secret key"
        value={pair.secretKey}
        hint="Proves the key. Never put it into a web page, a repository or a chat."
        onCopied={onCopied}
      />
      <Shown
        label=".env line"
        value={envLine(pair)}
        hint="Both halves, as the examples read them."
        onCopied={onCopied}
      />
      <Box>
        <Text fw={500} mb={4} id="try-it">
          Try it
        </Text>
        <Tabs defaultValue={names[0]} aria-labelledby="try-it">
          <Tabs.List mb="xs">
            {names.map((name) => (
              <Tabs.Tab key={name} value={name}>
                {name}
              </Tabs.Tab>
            ))}
          </Tabs.List>
          {names.map((name) => (
            <Tabs.Panel key={name} value={name}>
              <Snippet name={name} text={snippets[name](window.location.origin)} />
            </Tabs.Panel>
          ))}
        </Tabs>
      </Box>
    </Stack>
  );
}

interface ShownProps {
  readonly label: string;
  readonly value: string;
  readonly hint: string;
  readonly onCopied?: () => void;
}

function Shown({ label, value, hint, onCopied }: ShownProps) {
  return (
    <Box>
      <Group gap="xs" mb={4} align="baseline">
        <Text fw={500}>{label}</Text>
        <Text size="xs" c="dimmed">
          {hint}
        </Text>
      </Group>
      <Group className="secret" wrap="nowrap" justify="space-between" gap="xs">
        {/* Copying a selection counts as well. Without TLS, it is the only way. */}
        <code aria-label={label} onCopy={onCopied}>
          {value}
        </code>
        <CopyButton value={value} label={`Copy: ${label}`} onCopied={onCopied} />
      </Group>
    </Box>
  );
}

function Snippet({ name, text }: { readonly name: string; readonly text: string }) {
  return (
    <Box pos="relative">
      <pre className="snippet">{text}</pre>
      <Box pos="absolute" top={6} right={6}>
        <CopyButton value={text} label={`Copy the example: ${name}`} />
      </Box>
    </Box>
  );
}
