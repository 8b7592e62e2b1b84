import { Role } from '#libs/contract/organizations.js';
import { mayAssign } from '#libs/contract/roles.js';

/** The permissions of each role, in one sentence. */
export const roleInWords: Readonly<Record<Role, string>> = {
  owner: 'Does everything that an admin does, and adds and removes owners.',
  admin: 'Manages keys, projects, settings, and all members except owners.',
  developer: 'Creates and manages keys of their own. Sees members, projects and usage.',
  auditor: 'Reads the audit log, API keys, members, projects and usage. Changes nothing.',
  viewer: 'Reads members, projects and usage. Changes nothing.',
};

export function roleName(role: Role): string {
  return `${role[0]!.toUpperCase()}${role.slice(1)}`;
}

/** From the most powerful role to the least. */
export function rolesToAssign(own: Role): Role[] {
  return Role.options.filter((role) => mayAssign(own, role));
}
