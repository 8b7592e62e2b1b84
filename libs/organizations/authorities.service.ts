import { LockMode } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { CredentialVerifier } from '#libs/auth/credential-verifier.js';
import type { ApiKeyPrincipal, Principal, UserPrincipal } from '#libs/auth/principal.js';
import { isOperators, requireOperator, SessionsService } from '#libs/auth/sessions.service.js';
import { applicationAuthority, isDeploymentScope, missingScopes, type BuiltInScope } from '#libs/contract/scopes.js';
import { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';
import { noteRequirement, RequirementCheck, type Requirement } from '#libs/platform/idempotency.js';
import { authorityOfRole, beyond, operatorAuthority, type Authority } from './authority.js';
import { Membership } from './membership.entity.js';
import { OperatorReads } from './operator-reads.js';
import { Organization } from './organization.entity.js';

/**
 * How far a call reaches: into the whole organization, which a caller that is limited to a project is refused; or, where
 * the call itself holds such a caller to its project, only that far.
 */
export type Reach = 'organization' | 'project';

/** What {@link Authorities.requireNow} required, and what the caller then had. */
interface MembersRequirement {
  readonly organizationId: string;
  readonly scope: BuiltInScope;
  readonly reach: Reach;
  /** Its `expiresAt` is a text where it was stored. */
  readonly own: Authority;
}

/** What a principal may do where. The same questions for users, by their roles, and for keys, by their scopes. */
@Injectable()
export class Authorities extends RequirementCheck {
  readonly #application: readonly string[];

  constructor(
    config: Config,
    private readonly em: EntityManager,
    private readonly credentials: CredentialVerifier,
    private readonly sessions: SessionsService,
    private readonly reads: OperatorReads,
  ) {
    super();
    this.#application = applicationAuthority(config.settings.APP_SCOPES);
  }

  /**
   * For reading. What an operator reads as one is in the organization's audit log before it is read.
   * @throws DomainError `not_found` where the principal has no business at all, so that an id tells nothing;
   * `insufficient_scope` where it has, but not this.
   */
  async require(
    em: EntityManager,
    principal: Principal,
    scope: BuiltInScope,
    organizationId: string,
    reach: Reach = 'organization',
  ): Promise<Authority> {
    const own = await this.#of(em, principal, organizationId);
    if (own && covers(own, scope)) return within(reach, own);
    if (isOperatorFor(scope, principal)) {
      if ((await em.count(Organization, { id: organizationId })) === 0) throw noSuchOrganization();
      await this.reads.record(principal, organizationId);
      return operatorAuthority;
    }
    return check(own, scope, reach);
  }

  /** The same for what is about to be changed, where being an operator counts for nothing. */
  async requireAsMember(
    em: EntityManager,
    principal: Principal,
    scope: BuiltInScope,
    organizationId: string,
    reach: Reach = 'organization',
  ): Promise<Authority> {
    return check(await this.#of(em, principal, organizationId), scope, reach);
  }

  /**
   * For reading that goes on: whether what was required at its beginning, which is in the audit log, still holds. It takes no
   * lock, so that nothing which ends the credential waits for it.
   * @throws DomainError as {@link require} does, or when the credential has ended.
   */
  async requireStill(
    em: EntityManager,
    principal: Principal,
    scope: BuiltInScope,
    organizationId: string,
    reach: Reach = 'organization',
  ): Promise<Authority> {
    const current = await this.#readAgain(em, principal);
    const own = await this.#of(em, current, organizationId);
    if ((!own || !covers(own, scope)) && isOperatorFor(scope, current)) return operatorAuthority;
    return check(own, scope, reach);
  }

  /** The same within the transaction of a change: read anew, and what it rests on stays until the change commits. */
  async requireNow(
    em: EntityManager,
    principal: Principal,
    scope: BuiltInScope,
    organizationId: string,
    reach: Reach = 'organization',
  ): Promise<Authority> {
    const current = await this.#reload(em, principal);
    const own = check(await this.#of(em, current, organizationId, LockMode.PESSIMISTIC_READ), scope, reach);
    noteRequirement({ organizationId, scope, reach, own } satisfies MembersRequirement);
    return own;
  }

  /**
   * Before the response of an earlier change is repeated: the caller still has all the authority that it had then. It takes
   * no lock, as {@link requireStill}.
   * @throws DomainError as {@link require} does, or `beyond_authority` when that authority has been narrowed since
   */
  async requireAgain(principal: Principal, requirement: Requirement): Promise<void> {
    const em = this.em.fork();
    const current = await this.#readAgain(em, principal);
    if (isOperators(requirement)) {
      requireOperator(current);
      return;
    }
    const { organizationId, scope, reach, own } = requirement as MembersRequirement;
    const now = check(await this.#of(em, current, organizationId), scope, reach);
    const lost = beyond(now, { ...own, expiresAt: own.expiresAt && new Date(own.expiresAt) });
    if (lost.length === 0) return;
    throw new DomainError('beyond_authority', `Since the first call your credential has lost ${lost.join(', ')}`);
  }

  /** The organizations in which the principal has the scope, and what it may do there. */
  async organizationsWith(
    em: EntityManager,
    principal: Principal,
    scope: BuiltInScope,
  ): Promise<ReadonlyMap<string, Authority>> {
    const all: [string, Authority][] =
      principal.type === 'api_key'
        ? [[principal.organizationId, authorityOfKey(principal)]]
        : (await em.find(Membership, { userId: principal.userId })).map((membership) => [
            membership.organizationId,
            this.#ofMember(membership, principal),
          ]);
    return new Map(all.filter(([, authority]) => covers(authority, scope)));
  }

  /**
   * What a list covers: the organization that is named, of which {@link require} asks, else every one with the scope. In
   * each it keeps to what the caller may see.
   */
  async covered(
    em: EntityManager,
    principal: Principal,
    scope: BuiltInScope,
    organizationId: string | undefined,
  ): Promise<ReadonlyMap<string, Authority>> {
    if (organizationId === undefined) return this.organizationsWith(em, principal, scope);
    return new Map([[organizationId, await this.require(em, principal, scope, organizationId, 'project')]]);
  }

  #reload(em: EntityManager, principal: Principal): Promise<Principal> {
    return principal.type === 'user' ? this.sessions.reload(em, principal) : this.credentials.reload(em, principal);
  }

  #readAgain(em: EntityManager, principal: Principal): Promise<Principal> {
    return principal.type === 'user' ? this.sessions.readAgain(em, principal) : this.credentials.reload(em, principal);
  }

  async #of(
    em: EntityManager,
    principal: Principal,
    organizationId: string,
    lockMode: LockMode.NONE | LockMode.PESSIMISTIC_READ = LockMode.NONE,
  ): Promise<Authority | null> {
    if (principal.type === 'api_key') {
      return principal.organizationId === organizationId ? authorityOfKey(principal) : null;
    }
    const membership = await em.findOne(Membership, { organizationId, userId: principal.userId }, { lockMode });
    return membership && this.#ofMember(membership, principal);
  }

  #ofMember({ role, userId }: Membership, { operator }: UserPrincipal): Authority {
    const authority = authorityOfRole(role, userId, this.#application);
    return operator ? { ...authority, grants: ['deployment:verify'] } : authority;
  }
}

/** A key hands nothing on that reaches beyond its organization: only operators do. */
function authorityOfKey(key: ApiKeyPrincipal): Authority {
  const { environment, expiresAt, projectId, allowedIps, rateLimits, accountableUserId, ownKeysOnly } = key;
  return {
    scopes: key.scopes.filter((scope) => !isDeploymentScope(scope)),
    grants: [],
    environment,
    expiresAt,
    projectId,
    allowedIps,
    rateLimits,
    keysOf: ownKeysOnly ? accountableUserId : null,
  };
}

function isOperatorFor(scope: BuiltInScope, principal: Principal): principal is UserPrincipal {
  return principal.type === 'user' && principal.operator && covers(operatorAuthority, scope);
}

function covers(authority: Authority, scope: BuiltInScope): boolean {
  return missingScopes(authority.scopes, [scope]).length === 0;
}

function check(authority: Authority | null, scope: BuiltInScope, reach: Reach): Authority {
  if (!authority) throw noSuchOrganization();
  if (!covers(authority, scope)) throw new DomainError('insufficient_scope', `This needs ${scope}`, { scope });
  return within(reach, authority);
}

function within(reach: Reach, authority: Authority): Authority {
  if (reach === 'organization' && authority.projectId) {
    throw new DomainError('wrong_project', 'The key is limited to a project, and this is about the whole organization');
  }
  return authority;
}

/** Whose organization it is not, to them what is in it does not exist: the rejection says so of that thing. */
export async function asMissing<T>(missing: () => DomainError, require: () => Promise<T>): Promise<T> {
  try {
    return await require();
  } catch (error) {
    throw error instanceof DomainError && error.code === 'not_found' ? missing() : error;
  }
}

export function noSuchOrganization(): DomainError {
  return new DomainError('not_found', 'There is no such organization');
}
