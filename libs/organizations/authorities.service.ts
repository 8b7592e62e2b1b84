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
 * The reach of a call. `organization`: the whole organization; a caller that is limited to a project is rejected.
 * `project`: the call itself keeps such a caller within its project.
 */
export type Reach = 'organization' | 'project';

/** A requirement that {@link Authorities.requireNow} noted, with the caller's authority at that time. */
interface MembersRequirement {
  readonly organizationId: string;
  readonly scope: BuiltInScope;
  readonly reach: Reach;
  /** Its `expiresAt` is a string when it is read from storage. */
  readonly own: Authority;
}

/** The rights of a principal in an organization: by role for users, by scope for keys. */
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
   * For reads. If the caller reads as an operator, the organization's audit log records that first.
   * @throws DomainError `not_found` if the principal has no access at all, so that an id reveals nothing;
   * `insufficient_scope` if it has access without this scope
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

  /** Like {@link require}, for a change. The operator role gives no rights here. */
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
   * For a read that goes on, such as a stream: checks the authority again. The audit log has recorded the start of the
   * read. Takes no lock, so that a change which ends the credential never waits for it.
   * @throws DomainError as {@link require} does, or if the credential has ended
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

  /**
   * Like {@link requireAsMember}, within the transaction of a change: reads the authority again and keeps it from
   * changing until the commit.
   */
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
   * Checks, before the response of an earlier change is repeated, that the caller still has all the authority that it
   * had then. Takes no lock, like {@link requireStill}.
   * @throws DomainError as {@link require} does, or `beyond_authority` if the authority was narrowed since
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

  /** The organizations in which the principal has the scope, with its authority in each. */
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
   * The organizations that a list covers: the named one, as {@link require} allows, or all with the scope. The
   * authority of each limits what the caller sees there.
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

/** A key cannot hand on deployment scopes. Only operators can. */
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

/**
 * Replaces `not_found` for an organization: a caller without access to it gets the same error as for a missing object.
 */
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
