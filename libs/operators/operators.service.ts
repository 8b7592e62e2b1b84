import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { operatorActor, personalOrganizationOf, recordOperatorAction } from '#libs/auth/operator-action.js';
import { lockUsers, withdrawResets } from '#libs/auth/account-access.js';
import { personOf, turnOf, turnToTakeAway, type OperatorPrincipal } from '#libs/auth/principal.js';
import { SessionsService } from '#libs/auth/sessions.service.js';
import { User } from '#libs/auth/user.entity.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { InvitationsService, issuedIn, type InvitationWithLink } from '#libs/organizations/invitations.service.js';
import { Clock } from '#libs/platform/clock.js';
import { DomainError } from '#libs/platform/errors.js';
import { respond } from '#libs/platform/idempotency.js';
import { Changes } from '#libs/admission/changes.js';

const INVITATION_DAYS = 1;

/** The operators of the deployment. */
@Injectable()
export class OperatorsService {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly changes: Changes,
    private readonly sessions: SessionsService,
    private readonly invitations: InvitationsService,
  ) {}

  async list(): Promise<User[]> {
    return this.em
      .fork()
      .find(User, { operatorSince: { $ne: null } }, { orderBy: { operatorSince: 'asc', id: 'asc' } });
  }

  async invite<R extends object>(
    operator: OperatorPrincipal,
    email: string | null,
    present: (made: InvitationWithLink) => R,
  ): Promise<R> {
    return this.changes.create(turnOf(operator), DEPLOYMENT_ID, async ({ em, record }) => {
      await this.sessions.requireOperatorNow(em, operator);
      const terms = { organizationId: null, role: null, email, days: INVITATION_DAYS };
      const made = this.invitations.issue(em, terms, operator.userId);
      recordOperatorAction(record, operator, {
        type: 'invitation.created',
        subject: made.invitation.id,
        organization: { id: DEPLOYMENT_ID },
        ...issuedIn(made.invitation),
      });
      return respond(em, operator.context, present(made));
    });
  }

  /**
   * Also withdraws the unused one-time links that the operator made, and those that would make the user an operator
   * again.
   */
  async remove(operator: OperatorPrincipal, userId: string): Promise<void> {
    const user = await this.em.fork().findOne(User, { id: userId, operatorSince: { $ne: null } });
    if (!user) throw noSuchOperator();
    await this.changes.create(
      turnToTakeAway(operator),
      [user.personalOrganizationId, DEPLOYMENT_ID],
      async (change) => {
        const { em, record } = change;
        // Lock all operators, so that two who remove each other at once run one after the other.
        const known = await em.find(User, { operatorSince: { $ne: null } });
        const locked = await lockUsers(
          em,
          known.map(({ id }) => id),
        );
        const operators = locked.filter(({ operatorSince }) => operatorSince);
        await this.sessions.requireOperatorNow(em, operator);
        const member = operators.find(({ id }) => id === userId);
        if (!member) throw noSuchOperator();
        if (operators.length === 1)
          throw new DomainError('conflict', 'The last operator cannot be removed; invite another first');
        member.operatorSince = null;
        await this.invitations.withdrawAfterOperator(change, member, operatorActor(operator));
        await withdrawResets(em, { createdBy: userId }, this.clock.now());
        recordOperatorAction(record, operator, {
          type: 'user.operator_removed',
          subject: personOf(user),
          organization: await personalOrganizationOf(em, user),
          data: {},
        });
      },
    );
  }
}

function noSuchOperator(): DomainError {
  return new DomainError('not_found', 'There is no such operator');
}
