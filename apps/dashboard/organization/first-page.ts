import { linkOptions } from '@tanstack/react-router';
import type { Organization } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';

/** Where one begins in an organization: with what one has most to do with there. */
export function firstPageOf({ id, role }: Organization) {
  const params = { organizationId: id };
  if (roleCovers(role, 'api-keys:manage')) return linkOptions({ to: '/org/$organizationId/settings/api-keys', params });
  if (roleCovers(role, 'audit:read')) return linkOptions({ to: '/org/$organizationId/audit', params });
  return linkOptions({ to: '/org/$organizationId/projects', params });
}
