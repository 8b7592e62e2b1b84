import type { EventActor } from '#libs/contract/events.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import type { Change } from '#libs/admission/changes.js';
import type { EncodedType, NewEvent } from '#libs/outbox/event.js';
import { personOf, type OperatorPrincipal } from './principal.js';

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
  }: Pick<NewEvent<T>, 'type' | 'subject' | 'data'> & {
    readonly organization: { readonly id: string; readonly name?: string };
  },
): void {
  const actor = operatorActor(operator);
  if (organization.id !== DEPLOYMENT_ID) record({ ...event, organizationId: organization.id, actor });
  const about = organization.id !== DEPLOYMENT_ID && { organization: { id: organization.id, name: organization.name } };
  record({ ...event, ...about, organizationId: DEPLOYMENT_ID, actor });
}

export function operatorActor(operator: OperatorPrincipal): EventActor {
  return { type: 'operator', ...personOf(operator) };
}
