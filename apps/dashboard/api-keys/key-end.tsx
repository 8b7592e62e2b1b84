import { Alert, Text } from '@mantine/core';
import { IconCircleOff } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { calledIn, DomainEvent } from '#libs/contract/events.js';
import type { Organization } from '#libs/contract/organizations.js';
import { Time } from '../ui/time.js';
import { revocationQuery, type ApiKey } from './api-keys.js';

/** Whether the key is expired or revoked. The API rejects changes of such a key. */
export function isEnded({ status }: Pick<ApiKey, 'status'>): boolean {
  return status === 'expired' || status === 'revoked';
}

/** When the key ended. An expired key that was revoked afterwards ended by its expiry. */
export function endOf(apiKey: ApiKey): string | null {
  const { status, expires_at: expiry, revoked_at: revocation } = apiKey;
  if (!isEnded(apiKey)) return null;
  return status === 'expired' || expiredFirst(apiKey) ? expiry : revocation;
}

function expiredFirst({ expires_at: expiry, revoked_at: revocation }: ApiKey): boolean {
  return expiry !== null && revocation !== null && Date.parse(expiry) <= Date.parse(revocation);
}

interface Props {
  readonly organization: Organization;
  readonly apiKey: ApiKey;
}

/** One sentence that says why and when the key ended. */
export function KeyEnd({ organization, apiKey }: Props) {
  const isRevoked = apiKey.status === 'revoked';
  const { data } = useQuery({ ...revocationQuery(organization, apiKey.id), enabled: isRevoked });
  return (
    <Alert
      color={isRevoked ? 'red' : 'orange'}
      variant="light"
      icon={<IconCircleOff />}
      title={`This key is ${apiKey.status}`}
    >
      <Text>
        {expiredFirst(apiKey) ? (
          <>
            It expired on <Time at={apiKey.expires_at} exact />, and was revoked on{' '}
            <Time at={apiKey.revoked_at} exact />.
          </>
        ) : isRevoked ? (
          <>
            It was revoked on <Time at={apiKey.revoked_at} exact />
            {causeOf(data)}.
          </>
        ) : (
          <>
            It expired on <Time at={apiKey.expires_at} exact />.
          </>
        )}
      </Text>
      <Text>This cannot be undone: its secret and its public key are rejected. To continue, create a new key.</Text>
    </Alert>
  );
}

/** The cause of the end, if the audit log has it. */
function causeOf(envelope: unknown): string {
  const event = DomainEvent.safeParse(envelope).data;
  if (event?.type !== 'api_key.revoked') return '';
  if (event.data.because === 'project_deleted') return ' because its project was deleted';
  if (event.data.because === 'leaked') return ' because a secret of it was found in public';
  if (event.data.because === 'member_removed') return ' because the member who created it was removed';
  const { name, email } = calledIn(event.data, 'actor');
  const who = name ?? email;
  return who ? ` by ${who}` : '';
}
