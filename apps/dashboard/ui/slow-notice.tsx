import { Text } from '@mantine/core';
import { useTimeout } from '@mantine/hooks';
import { useState } from 'react';

const PATIENCE_MS = 4000;

/** Placed below a skeleton: says that loading continues if it takes long. */
export function SlowNotice() {
  const [slow, setSlow] = useState(false);
  useTimeout(() => setSlow(true), PATIENCE_MS, { autoInvoke: true });
  return slow && <Text c="dimmed">This takes longer than usual.</Text>;
}
