import type { Change } from '#libs/platform/events/changes.js';
import type { EventActor } from '#libs/contract/events.js';

/** Keys of an organization by what they stand on. */
export type Standing =
  | { readonly organizationId: string; readonly projectId: string }
  | { readonly organizationId: string; readonly accountableUserId: string };

/**
 * What becomes of keys when that on which they stand goes. Declared here and implemented by `api-keys`, which knows keys;
 * the API app binds the two.
 */
export abstract class ApiKeyRevocation {
  /** How many of them are not revoked. */
  abstract count(change: Change, standing: Standing): Promise<number>;

  /** Revokes them within the change, each with an event of its own. @returns how many */
  abstract revoke(
    change: Change,
    standing: Standing,
    actor: EventActor,
    because: 'member_removed' | 'project_deleted',
  ): Promise<number>;
}
