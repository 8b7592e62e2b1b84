import { LockMode } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { Authorizer, type NamesOrganization } from '#libs/auth/authorizer.js';
import { CredentialVerifier } from '#libs/auth/credential-verifier.js';
import {
  homeOrganization,
  type ApiKeyPrincipal,
  type OperatorPrincipal,
  type Principal,
  type UserPrincipal,
} from '#libs/auth/principal.js';
import { isOperators, requireOperator, SessionsService } from '#libs/auth/sessions.service.js';
import { toUuid } from '#libs/contract/ids.js';
import type { Role } from '#libs/contract/organizations.js';
import type { OrganizationSource, Permission } from '#libs/contract/route.js';
import { applicationAuthority, isDeploymentScope, type BuiltInScope } from '#libs/contract/scopes.js';
import { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';
import { noteRequirement, type Requirement, type RequirementCheck } from '#libs/platform/idempotency.js';
import { ApiKeyOwners } from './api-key-owners.js';
import { requireScope, type Authority, type AuthorityInEach, type Need } from './authority.js';
import { Membership } from './membership.entity.js';
import { asMissing, noSuchApiKey, noSuchOrganization, noSuchProject } from './missing.js';
import { OperatorReads } from './operator-reads.js';
import { Organization } from './organization.entity.js';
import { Project } from './project.entity.js';
import { beyond, covers, operatorRights, rightsOfRole, type Rights } from './rights.js';

/** A requirement that {@link Authorities.requireNow} noted, with the caller's rights at that time. */
interface MembersRequirement extends Omit<Need, 'caller'> {
  /** Its `expiresAt` is a string when it is read from storage. */
  readonly own: Rights;
}

const ROLE = 'SELECT role FROM membership WHERE organization_id = ? AND user_id = ?';

/**
 * The rights of a principal in an organization: by role for users, by scope for keys. The guard asks for them before
 * the handler runs ({@link authorize}). A change asks again within its transaction ({@link requireNow}).
 */
@Injectable()
export class Authorities extends Authorizer implements RequirementCheck {
  readonly #application: readonly string[];

  constructor(
    config: Config,
    private readonly em: EntityManager,
    private readonly credentials: CredentialVerifier,
    private readonly sessions: SessionsService,
    private readonly reads: OperatorReads,
    private readonly apiKeys: ApiKeyOwners,
  ) {
    super();
    this.#application = applicationAuthority(config.settings.APP_SCOPES);
  }

  /** If the caller reads as an operator, the organization's audit log records that first. */
  async authorize(
    caller: Principal,
    { scope, organization, reach }: Permission,
    input: NamesOrganization,
    isRead: boolean,
  ): Promise<Authority | AuthorityInEach> {
    const em = this.em.fork();
    const named = input.query?.organization_id;
    if (organization === 'each') {
      const rightsIn = named
        ? new Map([[named, await this.#require(em, { caller, organizationId: named, scope, reach }, isRead)]])
        : await this.#rightsInEach(em, caller, scope);
      return { caller, rightsIn } as AuthorityInEach;
    }
    const { organizationId, missing } = await this.#organizationOf(em, caller, organization, input);
    const need = { caller, organizationId, scope, reach };
    const rights = await asMissing(missing, () => this.#require(em, need, isRead));
    return { ...need, rights } as Authority;
  }

  /**
   * For a key, what {@link authorize} returns for a route about each organization. A key belongs to one, so its rights
   * are part of the key.
   */
  ofKey<S extends BuiltInScope>(caller: ApiKeyPrincipal, scope: S): AuthorityInEach<S> {
    const rights = rightsOfKey(caller);
    const rightsIn = new Map(covers(rights, scope) ? [[caller.organizationId, rights]] : []);
    return { caller, rightsIn: rightsIn as ReadonlyMap<string, Rights> } as AuthorityInEach<S>;
  }

  /**
   * For a read that goes on, such as a stream: checks the authority again. The audit log has recorded the start of the
   * read. Takes no lock, so that a change which ends the credential never waits for it.
   * @throws DomainError as {@link authorize} does, or if the credential has ended
   */
  async requireStill(em: EntityManager, { caller, organizationId, scope, reach }: Need): Promise<void> {
    const current = await this.#readAgain(em, caller);
    const own = await this.#rightsIn(em, current, organizationId);
    if ((!own || !covers(own, scope)) && isOperatorFor(scope, current)) return;
    check(own, scope, reach);
  }

  /**
   * Within the transaction of a change: reads the rights again and keeps them from changing until the commit. The
   * operator role gives no rights here.
   */
  async requireNow(em: EntityManager, { caller, organizationId, scope, reach }: Need): Promise<Rights> {
    const current = await this.#reload(em, caller);
    const own = check(await this.#rightsIn(em, current, organizationId, LockMode.PESSIMISTIC_READ), scope, reach);
    noteRequirement(caller.context, { organizationId, scope, reach, own } satisfies MembersRequirement);
    return own;
  }

  /**
   * Checks, before the response of an earlier change is repeated, that the caller still has all the rights that it had
   * then. Takes no lock, like {@link requireStill}.
   * @throws DomainError as {@link authorize} does, or `beyond_authority` if the rights were narrowed since
   */
  async requireAgain(principal: Principal, requirement: Requirement): Promise<void> {
    const em = this.em.fork();
    const current = await this.#readAgain(em, principal);
    if (isOperators(requirement)) {
      requireOperator(current);
      return;
    }
    const { organizationId, scope, reach, own } = requirement as MembersRequirement;
    const now = check(await this.#rightsIn(em, current, organizationId), scope, reach);
    const scopes = [...own.scopes, ...own.grants];
    const lost = beyond(now, { ...own, scopes, expiresAt: own.expiresAt && new Date(own.expiresAt) });
    if (lost.length === 0) return;
    throw new DomainError('beyond_authority', `Since the first call your credential has lost ${lost.join(', ')}`);
  }

  /** @returns also the error for a caller without access: it must not tell more than that for a missing object */
  async #organizationOf(
    em: EntityManager,
    caller: Principal,
    source: Exclude<OrganizationSource, 'each'>,
    { params, query, body }: NamesOrganization,
  ): Promise<{ organizationId: string; missing: () => DomainError }> {
    if (source === 'api_key' || source === 'project' || source === 'path') {
      const id = params?.id ?? query?.id;
      if (id === undefined) throw new Error(`The route has no id for the source ${source} of its organization`);
      if (source === 'path') return { organizationId: id, missing: noSuchOrganization };
      const missing = source === 'api_key' ? noSuchApiKey : noSuchProject;
      const organizationId =
        source === 'api_key'
          ? (await this.apiKeys.ownerOf(id))?.organizationId
          : (await em.findOne(Project, { id, deletedAt: null }))?.organizationId;
      if (!organizationId) throw missing();
      return { organizationId, missing };
    }
    const named = { body: body?.organization_id, query: query?.organization_id, own: undefined };
    return { organizationId: named[source] ?? homeOrganization(caller), missing: noSuchOrganization };
  }

  async #require(em: EntityManager, need: Need, isRead: boolean): Promise<Rights> {
    const { caller, organizationId, scope, reach } = need;
    const own = await this.#rightsIn(em, caller, organizationId);
    if ((own && covers(own, scope)) || !isRead || !isOperatorFor(scope, caller)) return check(own, scope, reach);
    if ((await em.count(Organization, { id: organizationId })) === 0) throw noSuchOrganization();
    await this.reads.record(caller, organizationId);
    return operatorRights;
  }

  /** The organizations in which the principal has the scope, with its rights in each. */
  async #rightsInEach(
    em: EntityManager,
    principal: Principal,
    scope: BuiltInScope,
  ): Promise<ReadonlyMap<string, Rights>> {
    if (principal.type === 'api_key') return this.ofKey(principal, scope).rightsIn;
    const memberships = await em.find(Membership, { userId: principal.userId });
    const all = memberships.map(
      ({ organizationId, role }) => [organizationId, this.#rightsOfMember(role, principal)] as const,
    );
    return new Map(all.filter(([, rights]) => covers(rights, scope)));
  }

  #reload(em: EntityManager, principal: Principal): Promise<Principal> {
    return principal.type === 'user' ? this.sessions.reload(em, principal) : this.credentials.reload(em, principal);
  }

  #readAgain(em: EntityManager, principal: Principal): Promise<Principal> {
    return principal.type === 'user' ? this.sessions.readAgain(em, principal) : this.credentials.reload(em, principal);
  }

  async #rightsIn(
    em: EntityManager,
    principal: Principal,
    organizationId: string,
    lockMode: LockMode.NONE | LockMode.PESSIMISTIC_READ = LockMode.NONE,
  ): Promise<Rights | null> {
    if (principal.type === 'api_key') {
      return principal.organizationId === organizationId ? rightsOfKey(principal) : null;
    }
    // Without entities, because most requests of a user read it.
    const [member] = await em
      .getConnection('read')
      .execute<{ role: Role }[]>(
        lockMode === LockMode.NONE ? ROLE : `${ROLE} FOR SHARE`,
        [toUuid(organizationId), toUuid(principal.userId)],
        'all',
        em.getTransactionContext(),
      );
    return member ? this.#rightsOfMember(member.role, principal) : null;
  }

  #rightsOfMember(role: Role, { userId, operator }: UserPrincipal): Rights {
    const rights = rightsOfRole(role, userId, this.#application);
    return operator ? { ...rights, grants: ['deployment:verify'] } : rights;
  }
}

/** A key cannot hand on deployment scopes. Only operators can. */
function rightsOfKey(key: ApiKeyPrincipal): Rights {
  const { apiKeyId, environment, expiresAt, projectId, allowedIps, rateLimits, accountableUserId, ownKeysOnly } = key;
  return {
    scopes: key.scopes.filter((scope) => !isDeploymentScope(scope)),
    grants: [],
    environment,
    expiresAt,
    projectId,
    allowedIps,
    rateLimits,
    limitedKey: apiKeyId,
    keysOf: ownKeysOnly ? accountableUserId : null,
  };
}

function isOperatorFor(scope: BuiltInScope, principal: Principal): principal is OperatorPrincipal {
  return principal.type === 'user' && principal.operator && covers(operatorRights, scope);
}

function check(own: Rights | null, scope: BuiltInScope, reach: Permission['reach']): Rights {
  if (!own) throw noSuchOrganization();
  requireScope(own, scope);
  if (reach === 'organization' && own.projectId) {
    throw new DomainError(
      'wrong_project',
      'The key is limited to a project, and the request is about the whole organization',
    );
  }
  return own;
}
