import type { Organization } from '#libs/contract/organizations.js';
import { roleCovers } from '#libs/contract/roles.js';

/** Whether the pages of keys are open to the user. An operator reads the log and has no access to keys. */
export function readsKeys({ role }: Organization): boolean {
  return roleCovers(role, 'api-keys:read');
}
