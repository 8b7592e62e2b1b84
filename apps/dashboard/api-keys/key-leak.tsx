import { Alert, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { Time } from '../ui/time.js';
import type { ApiKey } from './api-keys.js';
import { isEnded } from './key-end.js';

/**
 * Says that a secret of the key was found in a public place, if it was. A stranger may have written the address, so it is
 * a text and no link.
 */
export function KeyLeak({ apiKey }: { readonly apiKey: ApiKey }) {
  const { leak } = apiKey;
  if (!leak) return null;
  return (
    <Alert color="red" variant="light" icon={<IconAlertTriangle />} title="A secret of this key was found in public">
      <Text>
        It was reported on <Time at={leak.at} exact />
        {leak.source !== null && <> by {leak.source}</>}
        {leak.url === null ? '.' : ', with this address:'}
      </Text>
      {leak.url !== null && <Text className="mono wraps">{leak.url}</Text>}
      {!isEnded(apiKey) && <Text mt="xs">{adviceFor(apiKey, leak.at)}</Text>}
    </Alert>
  );
}

function adviceFor({ rotated_at: rotation }: ApiKey, reportedAt: string): string {
  return rotation !== null && Date.parse(rotation) >= Date.parse(reportedAt)
    ? 'The key was rotated since. Look for uses that you do not know in its events.'
    : 'Rotate the key without a grace period, or revoke it. Then look for uses that you do not know in its events.';
}
