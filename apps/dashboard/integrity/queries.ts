import { utf8ToBytes } from '@noble/hashes/utils.js';
import { queryOptions } from '@tanstack/react-query';
import { api } from '../session/session.js';
import { verifyCheckpoint, verifyEvent } from './verify.js';

/** All verifications of a log, to repeat them after a person's decision. */
export const verificationsKey = (organizationId: string) => ['integrity', organizationId] as const;

/** The verification of the latest checkpoint. An operator's reads are recorded, so it is not repeated by itself. */
export const latestQuery = (organizationId: string) =>
  queryOptions({
    queryKey: [...verificationsKey(organizationId), 'latest'],
    queryFn: () => verifyCheckpoint(organizationId),
    staleTime: 60_000,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });

/** What the API says of the witnesses. It proves nothing. */
export const witnessesQuery = (organizationId: string) =>
  queryOptions({
    queryKey: ['audit-witnesses', organizationId],
    queryFn: async () => (await api.audit.integrity({ query: { organization_id: organizationId } })).witnesses,
    staleTime: 60_000,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });

/** The verification of an event that is shown as this text. */
export const eventQuery = (organizationId: string, index: number, text: string) =>
  queryOptions({
    queryKey: [...verificationsKey(organizationId), 'event', index, text],
    queryFn: () => verifyEvent(organizationId, index, utf8ToBytes(text)),
    staleTime: Infinity,
  });
