import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { recordOperatorAction } from '#libs/auth/operator-action.js';
import { turnOf, type OperatorPrincipal } from '#libs/auth/principal.js';
import { SessionsService } from '#libs/auth/sessions.service.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { Changes, type Change } from '#libs/admission/changes.js';
import { endpointOf } from '#libs/platform/request-context.js';
import { Organization } from './organization.entity.js';

/** What an operator looked for in all audit logs. */
type SearchFilter = Readonly<Record<string, string | null>>;
type Read = ReturnType<typeof endpointOf> & { readonly request_id: string; readonly filter?: SearchFilter };

/** The calls of one page view. */
interface View {
  readonly reads: Read[];
  /** Time of the latest call. */
  latestAt: number;
  /** Settles with the commit of the event. */
  recorded: Promise<void>;
}

const QUIET_MS = 200;
const LONGEST_MS = 1_000;
/** Bounds the event. People would not read a longer list. */
const MOST_READS = 20;

/**
 * Records what operators read of an organization before they see it: in its audit log and in the deployment's. Calls
 * that one session sends at about the same time, as a page does, become one event that names each call.
 */
@Injectable()
export class OperatorReads {
  /**
   * A page sends its calls together. The view ends once no call has come for this long, after LONGEST_MS at the latest.
   * Milliseconds. Tests without pages shorten it.
   */
  quietMs = QUIET_MS;
  /** Holds only waiting calls, so it is never larger than the number of requests. */
  readonly #gathering = new Map<string, View>();

  constructor(
    private readonly sessions: SessionsService,
    private readonly changes: Changes,
  ) {}

  /** Returns when the read is stored. @throws DomainError if the caller is no longer an operator */
  record(operator: OperatorPrincipal, organizationId: string, filter?: SearchFilter): Promise<void> {
    const { requestId, ip, userAgent } = operator.context;
    const read = { ...endpointOf(operator.context), request_id: requestId, ...(filter && { filter }) };
    // One event has one origin.
    const key = JSON.stringify([operator.sessionId, organizationId, ip, userAgent]);
    const known = this.#gathering.get(key);
    if (known) {
      known.reads.push(read);
      known.latestAt = performance.now();
      // The next call starts a new view.
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
      const until = Math.min(view.latestAt + this.quietMs, deadline);
      if (now >= until || view.reads.length === MOST_READS) return;
      await sleep(until - now);
    }
  }

  async #store(operator: OperatorPrincipal, organizationId: string, reads: readonly Read[]): Promise<void> {
    const change = async ({ em, record }: Change) => {
      await this.sessions.requireOperatorNow(em, operator);
      const { method, path, route, filter } = reads[0]!;
      recordOperatorAction(record, operator, {
        type: 'operator.read',
        subject: organizationId,
        organization: await em.findOneOrFail(Organization, organizationId),
        data: {
          method,
          path,
          ...(route && { route }),
          ...(filter && { filter }),
          ...(reads.length > 1 && { reads: [...reads] }),
        },
      });
    };
    await this.changes.create(turnOf(operator), [organizationId, DEPLOYMENT_ID], change);
  }
}
