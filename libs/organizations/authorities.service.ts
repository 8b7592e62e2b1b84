import { LockMode } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { CredentialVerifier } from '#libs/auth/credential-verifier.js';
import type { Principal } from '#libs/auth/principal.js';
import { SessionsService } from '#libs/auth/sessions.service.js';
import { missingScopes, type BuiltInScope } from '#libs/contract/scopes.js';
import { DomainError } from '#libs/platform/errors.js';
import { authorityOfRole, type Authority } from './authority.js';
import { Membership } from './membership.entity.js';

/** What a principal may do where. The same questions for users, by their roles, and for keys, by their scopes. */
@Injectable()
export class Authorities {
  constructor(
    private readonly credentials: CredentialVerifier,
    private readonly sessions: SessionsService,
  ) {}

  /**
   * @throws DomainError `not_found` where the principal has no business at all, so that an id tells nothing;
   * `insufficient_scope` where it has, but not this.
   */
  async require(
    em: EntityManager,
    principal: Principal,
    scope: BuiltInScope,
    organizationId: string,
  ): Promise<Authority> {
    return check(await this.#of(em, principal, organizationId), scope);
  }

  /** The same within the transaction of a change: read anew, and what it rests on stays until the change commits. */
  async requireNow(
    em: EntityManager,
    principal: Principal,
    scope: BuiltInScope,
    organizationId: string,
  ): Promise<Authority> {
    const current =
      principal.type === 'user'
        ? await this.sessions.reload(em, principal)
        : await this.credentials.reload(em, principal);
    return check(await this.#of(em, current, organizationId, LockMode.PESSIMISTIC_READ), scope);
  }

  /** The organizations in which the principal has the scope. */
  async organizationsWith(em: EntityManager, principal: Principal, scope: BuiltInScope): Promise<string[]> {
    if (principal.type === 'api_key') return [principal.organizationId];
    const memberships = await em.find(Membership, { userId: principal.userId });
    return memberships
      .filter(({ role }) => missingScopes(authorityOfRole(role).scopes, [scope]).length === 0)
      .map((membership) => membership.organizationId);
  }

  async #of(
    em: EntityManager,
    principal: Principal,
    organizationId: string,
    lockMode: LockMode.NONE | LockMode.PESSIMISTIC_READ = LockMode.NONE,
  ): Promise<Authority | null> {
    if (principal.type === 'api_key') {
      const { scopes, environment, expiresAt } = principal;
      return principal.organizationId === organizationId ? { scopes, environment, expiresAt } : null;
    }
    const membership = await em.findOne(Membership, { organizationId, userId: principal.userId }, { lockMode });
    return membership && authorityOfRole(membership.role);
  }
}

function check(authority: Authority | null, scope: BuiltInScope): Authority {
  if (!authority) throw new DomainError('not_found', 'There is no such organization');
  if (missingScopes(authority.scopes, [scope]).length > 0) {
    throw new DomainError('insufficient_scope', `This needs ${scope}`, { scope });
  }
  return authority;
}
