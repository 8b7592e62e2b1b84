import type { Change } from '#libs/admission/changes.js';
import type { EventActor } from '#libs/contract/events.js';

/** The keys of an organization that depend on a project, or on the member who is accountable for them. */
export type Dependents =
  | { readonly organizationId: string; readonly projectId: string }
  | { readonly organizationId: string; readonly accountableUserId: string };

/** What the event of the change that revokes many keys tells of them. */
export interface MassRevocation {
  readonly revoked_api_keys: number;
  /** The same in the event of each key; absent where no key depends on what goes. */
  readonly revocation_id?: string;
}

/**
 * What becomes of keys when that on which they depend goes. Declared here and implemented by `api-keys`, which knows keys;
 * the API app binds the two.
 */
export abstract class ApiKeyRevocation {
  /** How many of them are not revoked. */
  abstract count(change: Change, of: Dependents): Promise<number>;

  /**
   * Within a change of the project or the member: revokes all of them from its commit on, in the same time however many
   * there are. The worker writes the event of each key afterwards.
   */
  abstract revoke(change: Change, of: Dependents, actor: EventActor): Promise<MassRevocation>;
}
