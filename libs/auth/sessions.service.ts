import { randomBytes } from 'node:crypto';
import { LockMode } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { fromUuid, newId, toUuid } from '#libs/contract/ids.js';
import { Clock } from '#libs/platform/clock.js';
import { DomainError } from '#libs/platform/errors.js';
import { Changes } from '#libs/admission/changes.js';
import { noteRequirement, type Requirement } from '#libs/platform/idempotency.js';
import { PersonalData } from '#libs/platform/personal-data.js';
import type { RequestContext } from '#libs/platform/request-context.js';
import { Sealing } from '#libs/platform/sealing.js';
import { ACCESS_TOKEN_SECONDS, AccessTokens } from './access-tokens.js';
import { endOldestSessions, endSessions, lockAccess, lockUsers, shareUser, withdrawResets } from './account-access.js';
import { LoginDelay } from './login-delay.js';
import { hashOfToken } from './one-time-token.js';
import { Passwords } from './passwords.js';
import {
  actorOf,
  personOf,
  separateTurn,
  turnToTakeAway,
  type OperatorPrincipal,
  type Principal,
  type UserPrincipal,
} from './principal.js';
import { liveAt, RefreshToken, Session } from './session.entity.js';
import { decideRefresh, isLive, SESSION_DAYS } from './session.js';
import { UnknownSignIns } from './unknown-sign-ins.js';
import { User } from './user.entity.js';

export interface Tokens {
  readonly token_type: 'Bearer';
  readonly access_token: string;
  readonly expires_in: number;
  readonly refresh_token: string;
}

interface LiveUser extends Pick<User, 'email' | 'name'> {
  /** A bare UUID. */
  readonly organization: string;
  readonly operatorSince: string | null;
}

/** One statement without entities, because each request of a user reads it. The session is live as `liveAt` has it. */
const LIVE_USER = `
  SELECT u.email, u.name, u.personal_organization_id AS organization, u.operator_since AS "operatorSince"
  FROM session s JOIN user_account u ON u.id = s.user_id
  WHERE s.id = ? AND u.id = ? AND s.ended_at IS NULL AND s.expires_at > ?`;

/** The requirement that {@link SessionsService.requireOperatorNow} notes. */
const OPERATOR = { operator: true };

export function isOperators(requirement: Requirement): boolean {
  return 'operator' in requirement;
}

@Injectable()
export class SessionsService {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly changes: Changes,
    private readonly passwords: Passwords,
    private readonly loginDelay: LoginDelay,
    private readonly accessTokens: AccessTokens,
    private readonly sealing: Sealing,
    private readonly unknownSignIns: UnknownSignIns,
    private readonly personalData: PersonalData,
  ) {}

  async login(context: RequestContext, { email, password }: { email: string; password: string }): Promise<Tokens> {
    const { ip } = context;
    await this.loginDelay.wait(email, ip);
    const user = await this.em.fork().findOne(User, { email });
    const matches = await this.passwords.matches(user?.passwordHash, password);
    if (!user || !matches) {
      if (user) await this.#recordFailure(context, user);
      else await this.unknownSignIns.record(context);
      throw new DomainError('invalid_credentials');
    }
    await this.loginDelay.succeeded(email, ip);
    return this.#open(context, user);
  }

  async refresh(context: RequestContext, presented: string): Promise<Tokens> {
    const found = await this.#find(presented);
    if (!found) throw new DomainError('invalid_refresh_token');
    const { user } = found;
    const outcome = await this.changes.create(
      separateTurn(`sign-ins of ${user.id}`, context),
      user.personalOrganizationId,
      async ({ em, record }) => {
        await lockAccess(em, [user.id]);
        const token = await em.findOneOrFail(RefreshToken, found.hash, { lockMode: LockMode.PESSIMISTIC_WRITE });
        const session = await em.findOneOrFail(Session, token.sessionId, { lockMode: LockMode.PESSIMISTIC_WRITE });
        const now = this.clock.now();
        const decision = decideRefresh(token, session, now);
        if (decision === 'rotate') {
          token.usedAt = now;
          newToken(em, this.#successor(presented, token), session.id, now);
        }
        if (decision === 'reused') {
          session.endedAt = now;
          record({
            type: 'user.refresh_token_reused',
            subject: personOf(user),
            actor: { type: 'user', ...personOf(user) },
            data: { session_id: session.id },
          });
        }
        return { decision, sessionId: session.id, successor: this.#successor(presented, token) };
      },
    );
    if (outcome.decision === 'dead' || outcome.decision === 'reused') throw new DomainError('invalid_refresh_token');
    return this.#tokens(user.id, outcome.sessionId, outcome.successor);
  }

  async logout(principal: UserPrincipal): Promise<void> {
    await this.changes.create(turnToTakeAway(principal), principal.personalOrganizationId, async ({ em, record }) => {
      await lockAccess(em, [principal.userId]);
      const session = await em.findOneOrFail(Session, principal.sessionId, { lockMode: LockMode.PESSIMISTIC_WRITE });
      const now = this.clock.now();
      if (!isLive(session, now)) return;
      session.endedAt = now;
      record({
        type: 'user.logged_out',
        subject: personOf(principal),
        actor: actorOf(principal),
        data: { session_id: session.id },
      });
    });
  }

  /** Newest first. */
  async list(principal: UserPrincipal): Promise<Session[]> {
    return this.em
      .fork()
      .find(Session, { userId: principal.userId, ...liveAt(this.clock.now()) }, { orderBy: { id: 'desc' } });
  }

  /** The response for another user's session is the same as for a missing one. Does nothing if it ended or expired. */
  async end(principal: UserPrincipal, id: string): Promise<void> {
    await this.changes.create(turnToTakeAway(principal), principal.personalOrganizationId, async ({ em, record }) => {
      await lockAccess(em, [principal.userId]);
      const session = await em.findOne(
        Session,
        { id, userId: principal.userId },
        { lockMode: LockMode.PESSIMISTIC_WRITE },
      );
      if (!session) throw new DomainError('not_found', 'There is no such session');
      const now = this.clock.now();
      if (!isLive(session, now)) return;
      session.endedAt = now;
      record({
        type: 'user.session_ended',
        subject: personOf(principal),
        actor: actorOf(principal),
        data: { session_id: id },
      });
    });
  }

  /** All other sessions end in the same transaction: an intruder does not keep a session. */
  async changePassword(principal: UserPrincipal, current: string, next: string): Promise<void> {
    await this.#requirePassword(principal, current);
    await this.passwords.refuseCommon('new_password', next, [principal.email, principal.name]);
    const passwordHash = await this.passwords.hash(next);
    await this.changes.create(turnToTakeAway(principal), principal.personalOrganizationId, async ({ em, record }) => {
      const [user] = await lockUsers(em, [principal.userId]);
      await this.reload(em, principal);
      const now = this.clock.now();
      user!.passwordHash = passwordHash;
      const ended = await endSessions(em, principal.userId, now, principal.sessionId);
      await withdrawResets(em, { userId: principal.userId }, now);
      record({ type: 'user.password_changed', subject: personOf(principal), actor: actorOf(principal), data: ended });
    });
  }

  /** Checks the password with the delays of a sign-in: a stolen session must not become a way to guess it. */
  async #requirePassword(principal: UserPrincipal, password: string): Promise<void> {
    const { ip } = principal.context;
    await this.loginDelay.wait(principal.email, ip);
    const user = await this.em.fork().findOneOrFail(User, principal.userId);
    if (!(await this.passwords.matches(user.passwordHash, password))) {
      await this.#recordFailure(principal.context, user);
      throw new DomainError('invalid_credentials', 'The current password is wrong');
    }
    await this.loginDelay.succeeded(principal.email, ip);
  }

  /** @throws DomainError `invalid_token` for a bad access token, or if its session has ended */
  async authenticate(accessToken: string, context: RequestContext): Promise<UserPrincipal> {
    const { userId, sessionId } = await this.accessTokens.verify(accessToken);
    const values = [toUuid(sessionId), toUuid(userId), this.clock.now()];
    const [user] = await this.em.getConnection('read').execute<LiveUser[]>(LIVE_USER, values);
    if (!user) throw new DomainError('invalid_token', 'The session of this access token has ended');
    const personalOrganizationId = fromUuid('org', user.organization);
    return principalOf({ ...user, id: userId, personalOrganizationId }, sessionId, context);
  }

  /**
   * Reads the principal again within the transaction of a change, and locks it until the commit.
   * @throws DomainError if the session has ended since the request arrived
   */
  async reload(em: EntityManager, principal: UserPrincipal): Promise<UserPrincipal> {
    await shareUser(em, principal.userId);
    return this.readAgain(em, principal, LockMode.PESSIMISTIC_READ);
  }

  /**
   * Reads the principal again outside a change, without a lock, so that no change waits for it.
   * @throws DomainError if the session has ended since the request arrived
   */
  async readAgain(
    em: EntityManager,
    principal: UserPrincipal,
    lockMode: LockMode.NONE | LockMode.PESSIMISTIC_READ = LockMode.NONE,
  ): Promise<UserPrincipal> {
    const session = await em.findOne(Session, principal.sessionId, { lockMode });
    if (!session || !isLive(session, this.clock.now())) throw new DomainError('invalid_token');
    if (!principal.operator) return principal;
    // Bypass the identity map to get the current row.
    const options = { lockMode, refresh: true };
    return principalOf(await em.findOneOrFail(User, principal.userId, options), session.id, principal.context);
  }

  /** @throws DomainError if, since the request arrived, the session has ended or its user is no longer an operator */
  async requireOperatorNow(em: EntityManager, principal: OperatorPrincipal): Promise<void> {
    requireOperator(await this.reload(em, principal));
    noteRequirement(principal.context, OPERATOR);
  }

  #open(context: RequestContext, user: User): Promise<Tokens> {
    const now = this.clock.now();
    const { ip, user_agent: userAgent } = this.personalData.origin(context);
    const sessionId = newId('session', now);
    const refreshToken = `rt_${randomBytes(32).toString('base64url')}`;
    const turn = separateTurn(`sign-ins of ${user.id}`, context);
    return this.changes.create(turn, user.personalOrganizationId, async ({ em, record }) => {
      // A new password may have been set since this one was verified, which ends every session.
      await lockAccess(em, [user.id]);
      const options = { lockMode: LockMode.PESSIMISTIC_READ } as const;
      const { passwordHash } = await em.findOneOrFail(User, user.id, options);
      if (passwordHash !== user.passwordHash) throw new DomainError('invalid_credentials');
      const expiresAt = new Date(now.getTime() + SESSION_DAYS * 86_400_000);
      em.create(Session, { id: sessionId, userId: user.id, ip, userAgent, createdAt: now, expiresAt });
      await em.flush();
      newToken(em, refreshToken, sessionId, now);
      const about = { subject: personOf(user), actor: { type: 'user', ...personOf(user) } } as const;
      record({ ...about, type: 'user.login_succeeded', data: { session_id: sessionId } });
      for (const id of await endOldestSessions(em, user.id, now)) {
        record({ ...about, type: 'user.session_ended', data: { session_id: id, because: 'too_many' } });
      }
      return this.#tokens(user.id, sessionId, refreshToken);
    });
  }

  async #recordFailure(origin: RequestContext, user: User): Promise<void> {
    await this.changes.create(
      separateTurn(`failures of ${user.id}`, origin),
      user.personalOrganizationId,
      async ({ record }) =>
        record({
          type: 'user.login_failed',
          subject: personOf(user),
          actor: { type: 'anonymous', id: null },
          data: {},
        }),
    );
  }

  async #find(presented: string): Promise<{ hash: Uint8Array; user: User } | null> {
    const em = this.em.fork();
    const hash = hashOfToken(presented);
    const token = await em.findOne(RefreshToken, hash);
    const session = token && (await em.findOne(Session, token.sessionId));
    const user = session && (await em.findOne(User, session.userId));
    return user ? { hash, user } : null;
  }

  /**
   * Derived, not random: the same token always gives the same successor, which is stored nowhere. Computing it takes
   * the token, the row and the deployment's secret.
   */
  #successor(presented: string, token: RefreshToken): string {
    return `rt_${this.sealing.mac('refresh token', token.salt, presented).toString('base64url')}`;
  }

  async #tokens(userId: string, sessionId: string, refreshToken: string): Promise<Tokens> {
    return {
      token_type: 'Bearer',
      access_token: await this.accessTokens.issue(userId, sessionId),
      expires_in: ACCESS_TOKEN_SECONDS,
      refresh_token: refreshToken,
    };
  }
}

/** @throws DomainError if the caller is not an operator */
export function requireOperator(principal: Principal): void {
  if (principal.type !== 'user' || !principal.operator) throw new DomainError('operator_required');
}

type NamedUser = Pick<User, 'id' | 'email' | 'name' | 'personalOrganizationId'> & {
  readonly operatorSince?: Date | string | null;
};

function principalOf(user: NamedUser, sessionId: string, context: RequestContext): UserPrincipal {
  return {
    type: 'user',
    userId: user.id,
    sessionId,
    email: user.email,
    name: user.name,
    personalOrganizationId: user.personalOrganizationId,
    operator: Boolean(user.operatorSince),
    context,
  };
}

function newToken(em: EntityManager, token: string, sessionId: string, now: Date): void {
  em.create(RefreshToken, { hash: hashOfToken(token), sessionId, salt: randomBytes(16), createdAt: now });
}
