import { newId } from '#libs/contract/ids.js';
import type { UseRecord } from '#libs/contract/use-records.js';

/** The record of a use as the API makes one, apart from the given fields. */
export function useOf(organizationId: string, changes: Partial<UseRecord> = {}): UseRecord {
  const now = new Date();
  return {
    key: { apiKeyId: newId('key', now), organizationId, projectId: null, secretId: newId('secret', now) },
    at: now.getTime(),
    seq: 1,
    requestId: newId('req', now),
    ip: '203.0.113.7',
    userAgent: 'curl/8.5.0',
    method: 'GET',
    path: '/v1/agents',
    pageOrigin: null,
    cost: 1,
    scopes: ['agents:read'],
    ...changes,
  };
}
