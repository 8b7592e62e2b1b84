import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { recordOperatorAction } from '#libs/auth/operator-action.js';
import { turnOf, type UserPrincipal } from '#libs/auth/principal.js';
import { SessionsService } from '#libs/auth/sessions.service.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { Changes, type Change } from '#libs/admission/changes.js';
import { apartFromTheCall } from '#libs/platform/idempotency.js';
import { endpointAsked, requestContext } from '#libs/platform/request-context.js';
import { Organization } from './organization.entity.js';

type Read = ReturnType<typeof endpointAsked> & { readonly request_id: string };

/** The calls of one view. */
interface View {
  readonly reads: Read[];
  /** When the last of them came. */
  latestAt: number;
  /** Settles with the commit of the event. */
  recorded: Promise<void>;
}

/** A page sends its calls together. They wait until none has come for this long, but no longer than the other. */
const QUIET_MS = 200;
const LONGEST_MS = 1_000;
/** A longer list would not be read, and its event has a bound. */
const MOST_READS = 20;

/**
 * Records what operators read of an organization before they are shown it: in its audit log, and in that of the
 * deployment. Calls that one session sends at about the same time, as a page does, become one event that names each of
 * them.
 */
@Injectable()
export class OperatorReads {
  /** Only of calls that wait here, so there are never more than requests. */
  readonly #gathering = new Map<string, View>();

  constructor(
    private readonly sessions: SessionsService,
    private readonly changes: Changes,
  ) {}

  /** Returns when the read is stored. @throws DomainError when the operator is none any more */
  record(operator: UserPrincipal, organizationId: string): Promise<void> {
    const { requestId, ip, userAgent } = requestContext();
    const read = { ...endpointAsked(), request_id: requestId };
    // One event has one origin.
    const key = JSON.stringify([operator.sessionId, organizationId, ip, userAgent]);
    const known = this.#gathering.get(key);
    if (known) {
      known.reads.push(read);
      known.latestAt = performance.now();
      // The next one begins a view of its own.
      if (known.reads.length === MOST_READS) this.#gathering.delete(key);
      return known.recorded;
    }
    const view: View = { reads: [read], latestAt: performance.now(), recorded: Promise.resolve() };
    this.#gathering.set(key, view);
    view.recorded = this.#gather(view).then(() => {
      if (this.#gathering.get(key) === view) this.#gathering.delete(key);
      return this.#store(operator, organizationId, view.reads);
    });
    return view.recorded;
  }

  async #gather(view: View): Promise<void> {
    const deadline = view.latestAt + LONGEST_MS;
    for (;;) {
      const now = performance.now();
      const until = Math.min(view.latestAt + QUIET_MS, deadline);
      if (now >= until || view.reads.length === MOST_READS) return;
      await sleep(until - now);
    }
  }

  async #store(operator: UserPrincipal, organizationId: string, reads: readonly Read[]): Promise<void> {
    const change = async ({ em, record }: Change) => {
      await this.sessions.requireOperatorNow(em, operator);
      const { method, path, route } = reads[0]!;
      recordOperatorAction(record, operator, {
        type: 'operator.read',
        subject: organizationId,
        organization: await em.findOneOrFail(Organization, organizationId),
        data: { method, path, ...(route && { route }), ...(reads.length > 1 && { reads: [...reads] }) },
      });
    };
    const changes = this.changes.inTurn(turnOf(operator));
    await apartFromTheCall(() => changes.create([organizationId, DEPLOYMENT_ID], change));
  }
}
