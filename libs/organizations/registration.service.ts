import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { AccountRate } from '#libs/auth/account-rate.js';
import { Passwords } from '#libs/auth/passwords.js';
import { personOf, separateTurn } from '#libs/auth/principal.js';
import { User } from '#libs/auth/user.entity.js';
import { newId } from '#libs/contract/ids.js';
import { NO_KEY_POLICY } from '#libs/contract/key-policy-rules.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { Clock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';
import type { RequestContext } from '#libs/platform/request-context.js';
import { Changes } from '#libs/admission/changes.js';
import { CreditsService } from './credits.service.js';
import type { Invitation } from './invitation.entity.js';
import { InvitationsService } from './invitations.service.js';
import { Membership } from './membership.entity.js';
import { Organization } from './organization.entity.js';

/**
 * Opens accounts. It is here and not in `auth` because an account and its organization are created in one transaction.
 */
@Injectable()
export class RegistrationService {
  constructor(
    private readonly em: EntityManager,
    private readonly config: Config,
    private readonly clock: Clock,
    private readonly passwords: Passwords,
    private readonly changes: Changes,
    private readonly invitations: InvitationsService,
    private readonly credits: CreditsService,
    private readonly rate: AccountRate,
  ) {}

  async register(
    context: RequestContext,
    input: { email: string; password: string; name: string; invitationToken: string | undefined },
  ): Promise<{ user: User; organization: Organization }> {
    this.rate.take(context);
    const { invitationToken } = input;
    const invitation =
      invitationToken === undefined
        ? null
        : await this.invitations.findOpen(this.em.fork(), invitationToken, input.email);
    this.#refuseClosed(invitation);
    await this.passwords.refuseCommon('password', input.password, [input.email, input.name]);
    const passwordHash = await this.passwords.hash(input.password);

    const now = this.clock.now();
    const organizationId = newId('org', now);
    const userId = newId('user', now);
    const invitedTo = invitation && (invitation.organizationId ?? DEPLOYMENT_ID);
    const organizationIds = [organizationId, ...(invitedTo ? [invitedTo] : [])];
    return this.changes.create(separateTurn('registration', context), organizationIds, async (change) => {
      const { em, record } = change;
      // Create each row before the rows that refer to it.
      const organization = em.create(Organization, {
        id: organizationId,
        name: input.name,
        personal: true,
        createdAt: now,
        updatedAt: now,
        keyPolicy: NO_KEY_POLICY,
        version: 1,
      });
      await em.flush();
      const user = await insertUser(em, {
        id: userId,
        email: input.email,
        name: input.name,
        passwordHash,
        personalOrganizationId: organizationId,
        createdAt: now,
      });
      em.create(Membership, { organizationId, userId, role: 'owner', createdAt: now });

      const actor = { type: 'user', ...personOf(user) } as const;
      record({
        type: 'organization.created',
        subject: organizationId,
        actor,
        at: now,
        data: { name: organization.name, owner_id: userId, personal: true },
      });
      record({ type: 'user.registered', subject: personOf(user), actor, at: now, data: { email: user.email } });
      await this.credits.open(change, organizationId, now);
      if (invitationToken !== undefined) await this.invitations.redeem(change, invitationToken, user);
      return { organization, user };
    });
  }

  /** An invitation to the operators works in spite of the setting: there has to be a first operator. */
  #refuseClosed(invitation: Invitation | null): void {
    const { registration } = this.config;
    const isOperator = invitation !== null && !invitation.organizationId;
    if (isOperator || registration === 'open' || (registration === 'invite' && invitation)) return;
    throw new DomainError(
      'registration_closed',
      registration === 'invite' ? 'Registration needs an invitation' : undefined,
    );
  }
}

type NewUser = Pick<User, 'id' | 'email' | 'name' | 'passwordHash' | 'personalOrganizationId' | 'createdAt'>;

/**
 * Uses `ON CONFLICT`, because PostgreSQL logs a violated unique constraint with its value, here the e-mail address.
 * @throws DomainError `email_taken`
 */
async function insertUser(em: EntityManager, data: NewUser): Promise<User> {
  const insert = em.createQueryBuilder(User).insert(data).onConflict('email').ignore();
  if ((await insert.execute('run')).affectedRows === 0) throw new DomainError('email_taken');
  return em.findOneOrFail(User, data.id);
}
