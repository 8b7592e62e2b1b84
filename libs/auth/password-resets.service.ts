import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { Clock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';
import type { RequestContext } from '#libs/platform/request-context.js';
import { Changes } from '#libs/admission/changes.js';
import { AccountRate } from './account-rate.js';
import { endSessions, lockUsers, withdrawResets } from './account-access.js';
import { hashOfToken, newOneTimeToken, oneTimeLink } from './one-time-token.js';
import { personalOrganizationOf, recordOperatorAction } from './operator-action.js';
import { PasswordReset } from './password-reset.entity.js';
import { Passwords } from './passwords.js';
import { personOf, separateTurn, turnOf, type OperatorPrincipal } from './principal.js';
import { SessionsService } from './sessions.service.js';
import { User } from './user.entity.js';

const HOURS = 1;

/** Resets forgotten passwords: an operator makes a one-time link, and the holder of the link sets a new password. */
@Injectable()
export class PasswordResetsService {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly config: Config,
    private readonly changes: Changes,
    private readonly passwords: Passwords,
    private readonly sessions: SessionsService,
    private readonly rate: AccountRate,
  ) {}

  /** An earlier link to the same account stops working. */
  async issue(operator: OperatorPrincipal, email: string): Promise<{ url: string; token: string; expiresAt: Date }> {
    const user = await this.em.fork().findOne(User, { email });
    if (!user) throw new DomainError('not_found', 'There is no account with this email');
    const { token, hash } = newOneTimeToken('reset');
    return this.changes.create(
      turnOf(operator),
      [user.personalOrganizationId, DEPLOYMENT_ID],
      async ({ em, record }) => {
        await lockUsers(em, [user.id, operator.userId]);
        await this.sessions.requireOperatorNow(em, operator);
        const now = this.clock.now();
        const expiresAt = new Date(now.getTime() + HOURS * 3_600_000);
        await withdrawResets(em, { userId: user.id }, now);
        em.create(PasswordReset, {
          tokenHash: hash,
          userId: user.id,
          createdBy: operator.userId,
          createdAt: now,
          expiresAt,
        });
        recordOperatorAction(record, operator, {
          type: 'user.password_reset_requested',
          subject: personOf(user),
          organization: await personalOrganizationOf(em, user),
          data: {},
        });
        return { url: oneTimeLink(this.config.publicUrl, 'password-reset', token), token, expiresAt };
      },
    );
  }

  /** All sessions end: an intruder loses access to the account. */
  async redeem(context: RequestContext, token: string, password: string): Promise<void> {
    this.rate.take(context);
    const tokenHash = hashOfToken(token);
    const em = this.em.fork();
    const user = await em.findOneOrFail(User, (await this.#find(em, tokenHash)).userId);
    await this.passwords.refuseCommon('new_password', password, [user.email, user.name]);
    const passwordHash = await this.passwords.hash(password);
    await this.changes.create(
      { ...separateTurn(user.id, context), takesAway: true },
      user.personalOrganizationId,
      async ({ em, record }) => {
        const [locked] = await lockUsers(em, [user.id]);
        await this.#find(em, tokenHash);
        const now = this.clock.now();
        locked!.passwordHash = passwordHash;
        const ended = await endSessions(em, user.id, now);
        await withdrawResets(em, { userId: user.id }, now);
        record({
          type: 'user.password_reset',
          subject: personOf(user),
          // The holder of the link, whom the reset does not identify.
          actor: { type: 'anonymous', id: null },
          data: ended,
        });
      },
    );
  }

  async #find(em: EntityManager, tokenHash: Uint8Array): Promise<PasswordReset> {
    const reset = await em.findOne(PasswordReset, tokenHash);
    if (!reset || reset.usedAt || reset.expiresAt <= this.clock.now()) throw new DomainError('invalid_link');
    return reset;
  }
}
