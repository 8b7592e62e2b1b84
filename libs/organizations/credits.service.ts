import { LockMode } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { recordOperatorAction } from '#libs/auth/operator-action.js';
import { turnOf, type OperatorPrincipal } from '#libs/auth/principal.js';
import { SessionsService } from '#libs/auth/sessions.service.js';
import { newId } from '#libs/contract/ids.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { Clock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';
import { Changes, type Change } from '#libs/admission/changes.js';
import { respond } from '#libs/platform/idempotency.js';
import { pageOf, type PageRequest } from '#libs/platform/pages.js';
import type { Authority } from './authority.js';
import { Credit, CreditGrant } from './credit.entity.js';
import { noSuchOrganization } from './missing.js';
import { Organization } from './organization.entity.js';

/** Default for `lowBelow`, as a share of the balance after a grant. */
const LOW_SHARE = 0.1;

/** Balances: members read them, operators fill them, only admission spends them. */
@Injectable()
export class CreditsService {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly config: Config,
    private readonly changes: Changes,
    private readonly sessions: SessionsService,
  ) {}

  /** Null for an organization that is not metered. */
  async get({ organizationId }: Authority<'usage:read'>): Promise<Credit | null> {
    return this.em.fork().findOne(Credit, { organizationId });
  }

  /** Newest first. */
  async listGrants({ organizationId }: Authority<'usage:read'>, page: PageRequest) {
    const em = this.em.fork();
    const found = await em.find(
      CreditGrant,
      { organizationId, ...(page.after && { id: { $lt: page.after } }) },
      { orderBy: { id: 'desc' }, limit: page.limit + 1 },
    );
    const { items, nextCursor } = pageOf(found, page, (grant) => grant.id);
    return { data: items, total: await em.count(CreditGrant, { organizationId }), nextCursor };
  }

  /**
   * The first grant starts the metering, which invalidates decisions that were made without a charge. Later grants
   * invalidate none.
   */
  async grant<R extends object>(
    operator: OperatorPrincipal,
    organizationId: string,
    input: { amount: number; reason: string | null; lowBelow: number | undefined },
    present: (grant: CreditGrant) => R,
  ): Promise<R> {
    const isMetered = (await this.em.fork().count(Credit, { organizationId })) > 0;
    return this.#change(
      operator,
      organizationId,
      isMetered ? 'goes on' : 'begins',
      async ({ em, record }, organization) => {
        const credit = await lock(em, organizationId);
        if (isMetered && !credit) {
          throw new DomainError('conflict', 'The balance was removed at the same time; grant again');
        }
        const given = { ...input, grantedBy: operator.userId };
        const made = this.#add(em, organizationId, credit, given, this.clock.now());
        recordOperatorAction(record, operator, {
          type: 'credits.granted',
          subject: organizationId,
          organization,
          ...grantedIn(made),
        });
        return respond(em, operator.context, present(made.grant));
      },
    );
  }

  /** Does nothing if there is no balance. */
  async remove(operator: OperatorPrincipal, organizationId: string): Promise<void> {
    await this.#change(operator, organizationId, 'ends', async ({ em, record }, organization) => {
      const credit = await lock(em, organizationId);
      if (!credit) return;
      em.remove(credit);
      recordOperatorAction(record, operator, {
        type: 'credits.removed',
        subject: organizationId,
        organization,
        data: { balance: credit.balance },
      });
    });
  }

  /** Within the change that creates an organization: grants the initial balance, if the deployment has one. */
  async open({ em, record }: Change, organizationId: string, now: Date): Promise<void> {
    const amount = this.config.settings.DEFAULT_CREDITS;
    if (amount === undefined) return;
    const input = { amount, reason: null, lowBelow: undefined, grantedBy: null };
    const made = this.#add(em, organizationId, null, input, now);
    record({
      type: 'credits.granted',
      subject: organizationId,
      organizationId,
      actor: { type: 'system', id: null },
      ...grantedIn(made),
    });
  }

  /** @param metering the effect on metering; its start and its end invalidate earlier decisions */
  async #change<T>(
    operator: OperatorPrincipal,
    id: string,
    metering: 'begins' | 'goes on' | 'ends',
    work: (change: Change, organization: Organization) => Promise<T>,
  ): Promise<T> {
    if (id === DEPLOYMENT_ID || (await this.em.fork().count(Organization, { id })) === 0) throw noSuchOrganization();
    const change = async (change: Change) => {
      await this.sessions.requireOperatorNow(change.em, operator);
      return work(change, await change.em.findOneOrFail(Organization, id));
    };
    return metering === 'goes on'
      ? this.changes.create(turnOf(operator), [id, DEPLOYMENT_ID], change)
      : this.changes.alter(turnOf(operator), id, { kind: 'organization', id }, change, DEPLOYMENT_ID);
  }

  /** @param known the locked balance, or null if there is none yet */
  #add(
    em: EntityManager,
    organizationId: string,
    known: Credit | null,
    input: { amount: number; reason: string | null; lowBelow: number | undefined; grantedBy: string | null },
    now: Date,
  ): Granted {
    const credit = known ?? em.create(Credit, { organizationId, balance: 0, lowBelow: 0 });
    const balance = credit.balance + input.amount;
    if (!Number.isSafeInteger(balance)) throw new DomainError('conflict', 'The balance would be too large');
    credit.balance = balance;
    credit.lowBelow = input.lowBelow ?? Math.floor(balance * LOW_SHARE);
    const grant = em.create(CreditGrant, {
      id: newId('grant', now),
      organizationId,
      amount: input.amount,
      balanceAfter: balance,
      reason: input.reason,
      grantedBy: input.grantedBy,
      createdAt: now,
    });
    return { grant, lowBelow: credit.lowBelow };
  }
}

interface Granted {
  readonly grant: CreditGrant;
  readonly lowBelow: number;
}

/** The time and the data of the event of a grant. */
function grantedIn({ grant: { id, amount, balanceAfter, reason, createdAt }, lowBelow }: Granted) {
  const data = { amount, balance: balanceAfter, reason: reason ?? null, grant_id: id, low_below: lowBelow };
  return { at: createdAt, data };
}

/**
 * Waits for an admission that holds the row, which lasts one statement at most. Admission skips the row while it is
 * locked here.
 */
function lock(em: EntityManager, organizationId: string): Promise<Credit | null> {
  return em.findOne(Credit, { organizationId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
}
