import type { DomainEventType } from '#libs/contract/events.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import type { Change } from '#libs/platform/events/changes.js';
import type { NewEvent } from '#libs/platform/events/event.js';
import type { UserPrincipal } from './principal.js';

/**
 * Records what an operator does twice: in the trail of whom it concerns, and in that of the deployment, where all that
 * operators do is found together. The change has to include both.
 */
export function recordOperatorAction<T extends DomainEventType>(
  record: Change['record'],
  operator: UserPrincipal,
  event: Pick<NewEvent<T>, 'type' | 'subject' | 'data'> & { readonly organizationId: string },
): void {
  const actor = { type: 'operator', id: operator.userId } as const;
  for (const organizationId of new Set([event.organizationId, DEPLOYMENT_ID]))
    record({ ...event, organizationId, actor });
}
