import { linkOptions } from '@tanstack/react-router';
import type { Organization } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';

/** The first page of an organization: the one that the user's role most likely needs. */
export function firstPageOf({ id, role }: Pick<Organization, 'id' | 'role'>) {
  const params = { organizationId: id };
  if (roleCovers(role, 'api-keys:manage')) return linkOptions({ to: '/org/$organizationId/settings/api-keys', params });
  if (roleCovers(role, 'audit:read')) return linkOptions({ to: '/org/$organizationId/audit', params });
  return linkOptions({ to: '/org/$organizationId/projects', params });
}
