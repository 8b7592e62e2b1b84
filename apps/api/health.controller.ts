import { Controller, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type pg from 'pg';
import { problems, type ProblemCode } from '#libs/contract/problem.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { describeProblem, live, ready } from '#libs/contract/system.js';
import { DATABASE_POOL, IMPATIENT } from '#libs/database/database.js';
import { DomainError } from '#libs/platform/errors.js';
import { outboxDepth } from '#libs/outbox/outbox-depth.js';
import { OutboxNotifier } from '#libs/outbox/outbox-notifier.js';
import { Outage } from '#libs/admission/outage.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { Proxies } from '#libs/platform/http/proxies.js';
import { Queues } from '#libs/platform/queue.js';

type Readiness = RouteOutput<typeof ready>;
type Check = Readiness['checks']['database'];

/** If an event waits longer than this, probably no worker is running. */
const OUTBOX_AGE_SECONDS = 60;

@Controller()
export class HealthController {
  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly queues: Queues,
    private readonly notifier: OutboxNotifier,
    private readonly outage: Outage,
    private readonly proxies: Proxies,
  ) {}

  @Implements(live)
  live(): RouteOutput<typeof live> {
    return { status: 'ok' };
  }

  /**
   * Only an unreachable database takes a node out of service, unless the node may respond from its cache. Without the
   * queue or a worker, events are not lost; they reach the audit log later.
   */
  @Implements(ready)
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<Readiness> {
    const [database, outbox, durability] = await Promise.all([
      this.#check('failing', () => this.#database()),
      this.#check('degraded', () => this.#outbox()),
      this.#check('degraded', () => this.#durability()),
    ]);
    const status = database.status === 'failing' && !this.outage.isTolerated ? 'failing' : 'ok';
    if (status === 'failing') void reply.status(503);
    const checks = {
      database,
      outbox,
      durability: this.#asPromised(durability),
      queue: this.#queue(),
      proxies: this.#proxies(),
    };
    return { status, checks };
  }

  @Implements(describeProblem)
  describeProblem(@Input() { params }: RouteInput<typeof describeProblem>): RouteOutput<typeof describeProblem> {
    if (!Object.hasOwn(problems, params.code)) throw new DomainError('not_found', 'There is no such problem code');
    return { code: params.code, ...problems[params.code as ProblemCode] };
  }

  async #check(otherwise: Check['status'], work: () => Promise<Check>): Promise<Check> {
    try {
      return await work();
    } catch {
      // The error may name hosts and users; the database's own log has it.
      return { status: otherwise, detail: 'no response from PostgreSQL' };
    }
  }

  async #database(): Promise<Check> {
    const { rows } = await this.pool.query<{ version: string }>({
      text: "SELECT current_setting('server_version') AS version",
      ...IMPATIENT,
    });
    return { status: 'ok', detail: `PostgreSQL ${rows[0]!.version}` };
  }

  async #outbox(): Promise<Check> {
    const { batches, age } = await outboxDepth(this.pool);
    const detail = `${batches} batches are waiting, the oldest for ${age.toFixed(1)} s`;
    return age > OUTBOX_AGE_SECONDS
      ? { status: 'degraded', detail: `${detail}: is a worker running?` }
      : { status: 'ok', detail };
  }

  /** Which failures a recorded event survives, according to the settings of the database. */
  async #durability(): Promise<Check> {
    const { rows } = await this.pool.query<{ fsync: string; commit: string; standbys: string; replica: boolean }>({
      text: `SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit,
                    current_setting('synchronous_standby_names') AS standbys, pg_is_in_recovery() AS replica`,
      ...IMPATIENT,
    });
    const { fsync, commit, standbys, replica } = rows[0]!;
    if (replica) return { status: 'degraded', detail: 'this server is a standby and cannot record anything' };
    if (fsync !== 'on') return { status: 'degraded', detail: 'fsync is off: a power failure can lose recorded events' };
    if (commit === 'off') {
      return {
        status: 'degraded',
        detail: 'synchronous_commit is off: a crash of the server can undo confirmed changes',
      };
    }
    if (standbys && ['on', 'remote_apply'].includes(commit)) {
      return { status: 'ok', detail: 'a recorded event is on the disks of two servers and survives a failover' };
    }
    return { status: 'ok', detail: 'a recorded event is on disk; there is no synchronous standby for a failover' };
  }

  /** During an outage that `ON_OUTAGE=allow` tolerates, nothing is recorded, so nothing is durable. */
  #asPromised({ status, detail }: Check): Check {
    if (this.outage.isPresent) {
      return {
        status: 'degraded',
        detail: 'keys are accepted from the cache, and uses are not recorded (ON_OUTAGE=allow)',
      };
    }
    if (!this.outage.isTolerated) return { status, detail };
    return { status, detail: `${detail}; while the database is unavailable, uses are not recorded (ON_OUTAGE=allow)` };
  }

  /** Anyone can read this response, so only the log names the proxies. */
  #proxies(): Check {
    return this.proxies.unknown.areActive
      ? {
          status: 'degraded',
          detail:
            'requests come through a proxy that TRUST_PROXY does not name, so the addresses of their clients are unknown; see the warning in the log',
        }
      : { status: 'ok', detail: 'no request came through a proxy that TRUST_PROXY does not name' };
  }

  #queue(): Check {
    return this.notifier.failing
      ? {
          status: 'degraded',
          detail: `BullMQ on ${this.queues.backend} does not respond; the worker sweeps without it`,
        }
      : { status: 'ok', detail: `BullMQ on ${this.queues.backend}` };
  }
}
