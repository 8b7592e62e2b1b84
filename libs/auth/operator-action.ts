import type { EntityManager } from '@mikro-orm/postgresql';
import { toUuid } from '#libs/contract/ids.js';
import type { EventActor } from '#libs/contract/events.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import type { Change } from '#libs/admission/changes.js';
import type { EncodedType, NewEvent } from '#libs/outbox/event.js';
import { personOf, type OperatorPrincipal } from './principal.js';
import type { User } from './user.entity.js';

/**
 * Records an operator's action twice: in the audit log of the organization that it is about, and in the deployment's
 * audit log, which has all actions of operators and names the organization. The change must include both organizations.
 */
export function recordOperatorAction<T extends EncodedType>(
  record: Change['record'],
  operator: OperatorPrincipal,
  {
    organization,
    ...event
  }: Pick<NewEvent<T>, 'type' | 'subject' | 'at' | 'data'> & {
    readonly organization: { readonly id: string; readonly name: string } | { readonly id: typeof DEPLOYMENT_ID };
  },
): void {
  const actor = operatorActor(operator);
  if (organization.id !== DEPLOYMENT_ID) record({ ...event, organizationId: organization.id, actor });
  const about = 'name' in organization &&
    organization.id !== DEPLOYMENT_ID && { organization: { id: organization.id, name: organization.name } };
  record({ ...event, ...about, organizationId: DEPLOYMENT_ID, actor });
}

export function operatorActor(operator: OperatorPrincipal): EventActor {
  return { type: 'operator', ...personOf(operator) };
}

/** The personal organization of a user, for an action that is about the user. */
export async function personalOrganizationOf(em: EntityManager, { personalOrganizationId: id }: User) {
  const [found] = await em.execute<{ name: string }[]>('SELECT name FROM organization WHERE id = ?', [toUuid(id)]);
  return { id, name: found!.name };
}
