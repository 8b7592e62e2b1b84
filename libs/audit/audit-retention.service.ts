import { LockMode } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { recordOperatorAction } from '#libs/auth/operator-action.js';
import { turnOf, type OperatorPrincipal } from '#libs/auth/principal.js';
import { SessionsService } from '#libs/auth/sessions.service.js';
import { toUuid } from '#libs/contract/ids.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { noSuchOrganization } from '#libs/organizations/missing.js';
import { Organization } from '#libs/organizations/organization.entity.js';
import { Clock } from '#libs/platform/clock.js';
import { Changes, type Change } from '#libs/admission/changes.js';
import { DomainError } from '#libs/platform/errors.js';

/** How long the entries of a log are kept, and what was pruned. */
interface Retention {
  /** Null for the default. */
  readonly days: number | null;
  /** Null: for ever. */
  readonly defaultDays: number | null;
  readonly holdReason: string | null;
  /** In milliseconds since 1970, as all times here. */
  readonly heldSince: number | null;
  readonly minimum: number;
  readonly prunedAt: number | null;
}

type Settings = Pick<Retention, 'days' | 'holdReason' | 'heldSince'>;

/** How long entries are kept. Operators decide, and the functions of the database keep to it. */
@Injectable()
export class AuditRetentionService {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
    private readonly changes: Changes,
    private readonly sessions: SessionsService,
  ) {}

  get(organizationId: string): Promise<Retention> {
    return read(this.em.fork(), organizationId);
  }

  setDays(operator: OperatorPrincipal, id: string, days: number | null): Promise<Retention> {
    return this.#change(operator, id, async ({ em, record }, organization, { days: before, ...rest }) => {
      if (before === days) return;
      await write(em, id, { ...rest, days });
      recordOperatorAction(record, operator, {
        type: 'audit_log.retention_changed',
        subject: id,
        organization,
        data: { before, after: days },
      });
    });
  }

  /** @throws DomainError `conflict` if there is a hold, whose reason would be lost */
  placeHold(operator: OperatorPrincipal, id: string, reason: string): Promise<Retention> {
    return this.#change(operator, id, async ({ em, record }, organization, { days, holdReason }) => {
      if (holdReason !== null) throw new DomainError('conflict', `There is a legal hold already: ${holdReason}`);
      await write(em, id, { days, holdReason: reason, heldSince: this.clock.now().getTime() });
      recordOperatorAction(record, operator, {
        type: 'audit_log.hold_placed',
        subject: id,
        organization,
        data: { reason },
      });
    });
  }

  /** Does nothing if there is none. */
  async liftHold(operator: OperatorPrincipal, id: string): Promise<void> {
    await this.#change(operator, id, async ({ em, record }, organization, { days, holdReason: reason }) => {
      if (reason === null) return;
      await write(em, id, { days, holdReason: null, heldSince: null });
      recordOperatorAction(record, operator, {
        type: 'audit_log.hold_lifted',
        subject: id,
        organization,
        data: { reason },
      });
    });
  }

  /** The lock on the organization makes a pruning end before the change, or begin after it. */
  async #change(
    operator: OperatorPrincipal,
    id: string,
    work: (change: Change, organization: Organization, present: Retention) => Promise<void>,
  ): Promise<Retention> {
    if (id === DEPLOYMENT_ID || (await this.em.fork().count(Organization, { id })) === 0) throw noSuchOrganization();
    return this.changes.create(turnOf(operator), [id, DEPLOYMENT_ID], async (change) => {
      const { em } = change;
      await this.sessions.requireOperatorNow(em, operator);
      const organization = await em.findOneOrFail(Organization, id, { lockMode: LockMode.PESSIMISTIC_WRITE });
      await work(change, organization, await read(em, id));
      return read(em, id);
    });
  }
}

async function read(em: EntityManager, organizationId: string): Promise<Retention> {
  const [row] = await em.execute<Retention[]>(
    `SELECT own.days, deployment.days AS "defaultDays", own.hold_reason AS "holdReason",
            floor(extract(epoch FROM own.held_since) * 1000)::float8 AS "heldSince",
            coalesce(l.minimum_index, 0)::float8 AS minimum,
            floor(extract(epoch FROM l.pruned_at) * 1000)::float8 AS "prunedAt"
     FROM (SELECT ?::uuid AS id) AS o
     LEFT JOIN audit_retention own ON own.organization_id = o.id
     LEFT JOIN audit_retention deployment ON deployment.organization_id = ?::uuid
     LEFT JOIN audit_log l ON l.organization_id = o.id`,
    [toUuid(organizationId), toUuid(DEPLOYMENT_ID)],
  );
  return row!;
}

async function write(
  em: EntityManager,
  organizationId: string,
  { days, holdReason, heldSince }: Settings,
): Promise<void> {
  await em.execute(
    `INSERT INTO audit_retention (organization_id, days, hold_reason, held_since) VALUES (?, ?, ?, ?)
     ON CONFLICT (organization_id) DO UPDATE
     SET days = excluded.days, hold_reason = excluded.hold_reason, held_since = excluded.held_since`,
    [toUuid(organizationId), days, holdReason, heldSince === null ? null : new Date(heldSince)],
  );
}
