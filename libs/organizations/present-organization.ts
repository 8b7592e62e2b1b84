import type { Organization as OrganizationResponse } from '#libs/contract/organizations.js';
import type { OrganizationView } from './organizations.service.js';

/** An organization as every response shows it. */
export function presentOrganization({ organization, role }: OrganizationView): OrganizationResponse {
  return {
    id: organization.id,
    name: organization.name,
    personal: organization.personal,
    role,
    status: organization.suspendedAt ? 'suspended' : 'active',
    scope_ceiling: organization.scopeCeiling ?? null,
    leak_policy: organization.leakPolicy,
    created_at: organization.createdAt.toISOString(),
    updated_at: organization.updatedAt.toISOString(),
  };
}
