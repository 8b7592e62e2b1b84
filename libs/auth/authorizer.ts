import type { Permission } from '#libs/contract/route.js';
import type { Principal } from './principal.js';

/** The fields of a validated request that can name the organization of the call. */
export interface NamesOrganization {
  readonly params?: { readonly id?: string };
  readonly query?: { readonly id?: string; readonly organization_id?: string };
  readonly body?: { readonly organization_id?: string };
}

/** Checks the permission of a route. Declared here and implemented by `organizations`, which knows the rights of callers. */
export abstract class Authorizer {
  /**
   * @param isRead operators may also read as operators
   * @returns the caller's authority, for the handler
   * @throws DomainError `not_found` if the caller has no access at all, so that an id reveals nothing;
   * `insufficient_scope` if it has access without the scope
   */
  abstract authorize(
    caller: Principal,
    permission: Permission,
    input: NamesOrganization,
    isRead: boolean,
  ): Promise<object>;
}
