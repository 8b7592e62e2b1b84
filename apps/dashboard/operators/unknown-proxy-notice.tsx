import { Alert, Code } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { readinessQuery } from './queries.js';

/** Shown if requests come through a proxy that `TRUST_PROXY` does not name: their clients' addresses are unknown. */
export function UnknownProxyNotice() {
  const { data } = useQuery(readinessQuery);
  if (data?.checks.proxies.status !== 'degraded') return null;
  return (
    <Alert
      role="status"
      color="yellow"
      icon={<IconAlertTriangle size={16} />}
      title="A proxy or gateway is not named in TRUST_PROXY"
      mb="lg"
    >
      Requests come through it, so the address of each client is unknown. Verifications for a gateway are recorded
      without address, method and path, and keys with allowed addresses are rejected. Add the address of the proxy to{' '}
      <Code>TRUST_PROXY</Code>. The API writes it to its log, unless <Code>RECORD_CLIENT_ADDRESS</Code> hides it.
    </Alert>
  );
}
