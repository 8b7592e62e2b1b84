import type { Change } from '#libs/admission/changes.js';
import type { EventActor } from '#libs/contract/events.js';

/** The keys of an organization that depend on a project or on their accountable member. */
export type Dependents =
  | { readonly organizationId: string; readonly projectId: string }
  | { readonly organizationId: string; readonly accountableUserId: string };

/** Data about mass revocation in the event of the change that causes it. */
export interface MassRevocation {
  readonly revoked_api_keys: number;
  /** Also in the event of each key. Absent if there are no keys to revoke. */
  readonly revocation_id?: string;
}

/**
 * Revokes keys when their project or accountable member is removed. Declared here and implemented by `api-keys`, which
 * knows keys. The API app binds the two.
 */
export abstract class ApiKeyRevocation {
  /** Counts the dependent keys that are not revoked. */
  abstract count(change: Change, of: Dependents): Promise<number>;

  /**
   * Revokes all dependent keys within a change of the project or member, effective at its commit. The time does not
   * depend on the number of keys. The worker writes the event of each key later.
   */
  abstract revoke(change: Change, of: Dependents, actor: EventActor, now: Date): Promise<MassRevocation>;
}
