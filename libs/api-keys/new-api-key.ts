import type { ImportedKey } from '#libs/contract/api-key-import.js';
import type { createApiKey } from '#libs/contract/api-keys.js';
import type { RouteInput } from '#libs/contract/route.js';
import type { NewApiKey } from './api-key-creation.service.js';

type Fields = Omit<RouteInput<typeof createApiKey>['body'], 'organization_id' | 'scopes'> &
  Pick<Partial<ImportedKey>, 'expires_at'> & { readonly scopes: NewApiKey['scopes'] };

/** A new key as the API describes it. */
export function newApiKey(fields: Fields): NewApiKey {
  return {
    name: fields.name,
    texts: fields,
    metadata: fields.metadata,
    projectId: fields.project_id,
    scopes: fields.scopes,
    environment: fields.environment,
    expiresInDays: fields.expires_in_days,
    expiresAt: fields.expires_at === undefined ? undefined : new Date(fields.expires_at),
    allowedDomains: fields.allowed_domains,
    publicScopes: fields.public_scopes,
    allowedIps: fields.allowed_ips,
    rateLimits: fields.rate_limits,
  };
}
