import { Button, Paper, Skeleton, Stack, Text, Title } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { calledIn, DomainEvent, type EventEnvelope } from '#libs/contract/events.js';
import type { Organization } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';
import { ErrorState } from '../ui/error-state.js';
import { counted, inDigits, lowerFirst } from '../ui/format.js';
import { TextLink } from '../ui/links.js';
import { denialInWords } from '../ui/outcomes.js';
import { Time } from '../ui/time.js';
import { keyEventsQuery, membersQuery } from './api-keys.js';

interface Props {
  readonly organization: Organization;
  readonly keyId: string;
}

export function KeyEvents({ organization, keyId }: Props) {
  return (
    <Paper withBorder p="lg" component="section" aria-labelledby="key-events">
      <Title order={2} mb="sm" id="key-events">
        Recent events
      </Title>
      <Events organization={organization} keyId={keyId} />
    </Paper>
  );
}

function Events({ organization, keyId }: Props) {
  const events = useInfiniteQuery(keyEventsQuery(organization, keyId));
  const members = useQuery(membersQuery(organization.id));
  const readsLog = roleCovers(organization.role, 'audit:read');
  return (
    <>
      {events.isPending && <Skeleton height={120} />}
      <ErrorState error={events.data ? undefined : events.error} onRetry={() => void events.refetch()} />
      <Stack gap="xs" component="ul" m={0} p={0}>
        {events.data?.pages
          .flatMap(({ data }) => data)
          .map(({ event }) => (
            <li key={event.id} className="plain">
              <Text size="sm">{whatHappened(event)}</Text>
              <Text size="xs" c="dimmed">
                <Time at={event.time} />
                {whoDid(event, members.data)}
              </Text>
            </li>
          ))}
      </Stack>
      {readsLog ? (
        <Text mt="sm" size="sm">
          <TextLink
            to="/org/$organizationId/audit"
            params={{ organizationId: organization.id }}
            search={{ key_id: keyId }}
          >
            View all in the audit log
          </TextLink>
          {' · '}
          <TextLink to="/org/$organizationId/audit/by/$id" params={{ organizationId: organization.id, id: keyId }}>
            Everything that this key did
          </TextLink>
        </Text>
      ) : (
        events.hasNextPage && (
          <Button
            mt="sm"
            variant="default"
            size="xs"
            loading={events.isFetchingNextPage}
            onClick={() => void events.fetchNextPage()}
          >
            Show older events
          </Button>
        )
      )}
    </>
  );
}

function whatHappened(envelope: EventEnvelope): string {
  const event = DomainEvent.safeParse(envelope).data;
  switch (event?.type) {
    case 'api_key.created':
      return 'Created';
    case 'api_key.imported':
      return 'Imported';
    case 'api_key.used':
      return event.data.surface ? `Called Keyledger${endpointOf(event.data)}` : `Used${endpointOf(event.data)}`;
    case 'api_key.denied':
      return `Denied${times(event.data.count)}${endpointOf(event.data)}: ${lowerFirst(denialInWords(event.data))}`;
    case 'api_key.rotated':
      return 'Rotated';
    case 'api_key.updated':
      return `Changed: ${Object.keys(event.data.changes).join(', ').replaceAll('_', ' ')}`;
    case 'api_key.enabled':
      return 'Enabled';
    case 'api_key.disabled':
      return 'Disabled';
    case 'api_key.expiring':
      return `Expiry notice: ${counted(event.data.days_left, 'day')} left`;
    case 'api_key.expired':
      return 'Expired';
    case 'api_key.revoked':
      return event.data.deleted ? 'Deleted' : 'Revoked';
    default:
      return envelope.type.replaceAll(/[._]/g, ' ');
  }
}

function times(count: number): string {
  return count === 1 ? '' : ` ${inDigits(count)} times`;
}

function endpointOf({ method, path }: { readonly method: string | null; readonly path: string | null }): string {
  return method || path ? ` for ${[method, path].filter(Boolean).join(' ')}` : '';
}

/** The actor of an event. Empty for uses, denials and expiry, where the actor says nothing. */
function whoDid({ type, data }: EventEnvelope, names: ReadonlyMap<string, string> | undefined): string {
  if (['api_key.used', 'api_key.denied', 'api_key.expired', 'api_key.expiring'].includes(type)) return '';
  const { actor } = data;
  if (actor.type === 'system') return ' by Keyledger';
  const called = calledIn(data, 'actor');
  return ` by ${called.name ?? called.email ?? names?.get(actor.id ?? '') ?? (actor.type === 'api_key' ? 'an API key' : 'a former member')}`;
}
