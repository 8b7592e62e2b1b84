import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { toUuid } from '#libs/contract/ids.js';
import { BatchIds } from '#libs/outbox/batch-ids.js';
import { OutboxNotifier } from '#libs/outbox/outbox-notifier.js';
import { DatabaseClock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { AdmissionConnection } from './admission-connection.js';
import { admissionMetrics } from './admission-metrics.js';
import {
  ADMIT,
  ADMIT_CHANGED,
  ADMIT_CHARGED,
  decisionValues,
  MAX_RESTS_ON,
  storedValues,
  type AdmitResult,
  type ChargedResult,
} from './admission-statements.js';
import { AuthorizationStates } from './authorization-states.js';
import { BatchQueue, unavailable } from './batch-queue.js';
import { amountOf, gather } from './charged-rows.js';
import {
  isCharged,
  rowKey,
  type Charged,
  type ConditionalEvent,
  type Gathered,
  type Outcome,
  type Row,
  type Waiting,
} from './conditional-event.js';
import { Outage } from './outage.js';
import { longestWait, roomOf, statusOf, type RateLimitStatus, type Window } from './rate-limit-window.js';

const ADMITTED: Outcome = { is: 'admitted' };
const STALE: Outcome = { is: 'stale' };

/** How long a request waits for locks. A transaction holds them for one statement, which may wait for the disk. */
const MAX_BUSY_MS = 2_000;
const BUSY_PAUSE_MS = 5;

/**
 * Appends events on condition that their decisions still hold. Two queues send them in batches, each on its own
 * connection. Charged events have a separate queue, because their statement may meet locks of other nodes.
 */
@Injectable()
export class Admission implements OnApplicationShutdown {
  readonly #logger = new Logger(Admission.name);
  readonly #uncharged: BatchQueue<Waiting>;
  readonly #charged: BatchQueue<Charged>;
  /** By organization or key: what is left of a balance or limit that did not cover all waiting requests. */
  readonly #reach = new Map<string, number>();
  readonly #ids = new BatchIds();

  constructor(
    private readonly config: Config,
    private readonly clock: DatabaseClock,
    private readonly notifier: OutboxNotifier,
    private readonly states: AuthorizationStates,
    outage: Outage,
  ) {
    const connect = () => new AdmissionConnection(config.settings.DATABASE_URL);
    this.#uncharged = new BatchQueue(connect(), (queue, batch) => this.#admit(queue, batch), outage, this.#logger);
    this.#charged = new BatchQueue(connect(), (queue, batch) => this.#admitCharged(queue, batch), outage, this.#logger);
  }

  /**
   * @throws DomainError `audit_unavailable` if the event was not stored, or may not have been stored; in an outage, its
   * cause is the error of the database
   */
  append(event: ConditionalEvent): Promise<Outcome> {
    return new Promise((resolve, reject) => this.add({ ...event, resolve, reject }));
  }

  /** The same without a promise. */
  add(event: Waiting): void {
    if (isCharged(event)) this.#charged.add(event);
    else this.#uncharged.add(event);
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.#uncharged.close(), this.#charged.close()]);
  }

  #withIds<W extends Waiting>(gathered: readonly Gathered<W>[]): readonly Row<W>[] {
    return gathered.map((row) => ({ id: this.#ids.next(this.clock.milliseconds()), ...row }));
  }

  async #admit(queue: BatchQueue<Waiting>, batch: readonly Waiting[]): Promise<void> {
    const rows = this.#withIds([...Map.groupBy(batch, rowKey).values()].map((waiting) => ({ waiting })));
    const isComplete = batch.some(({ stateChanged }) => stateChanged);
    const stored = storedValues(rows, this.config.publicUrl);
    const { rows: results, sentAt } = isComplete
      ? await queue.connection.query<AdmitResult>(ADMIT_CHANGED, [...stored, ...decisionValues(rows, MAX_RESTS_ON)])
      : await queue.connection.query<AdmitResult>(ADMIT, stored);
    const result = results[0]!;
    this.clock.observe(result.database_time, sentAt);
    const admitted = new Set(result.admitted);
    if (result.moved || admitted.size < rows.length) this.states.refreshSoon();
    for (const { id, waiting } of rows) {
      if (admitted.has(id)) {
        this.notifier.notify(waiting[0]!.shard);
        for (const { resolve } of waiting) resolve(ADMITTED);
      } else if (isComplete) {
        admissionMetrics.stale.value += waiting.length;
        for (const { resolve } of waiting) resolve(STALE);
      } else {
        for (const one of waiting) one.stateChanged = true;
        queue.returnToFront(waiting);
      }
    }
  }

  async #admitCharged(queue: BatchQueue<Charged>, batch: readonly Charged[]): Promise<void> {
    const { rows: gathered, later } = gather(batch, this.#reach);
    queue.returnToFront(later);
    const rows = this.#withIds(gathered);
    const charges = rows.map(({ waiting }) => waiting[0]!.charge);
    const values = [
      ...storedValues(rows, this.config.publicUrl),
      ...decisionValues(rows, Infinity),
      rows.map(({ waiting }) => amountOf(waiting)),
      charges.map(({ organizationId }) => organizationId && toUuid(organizationId)),
      charges.map(({ limited }) => limited && toUuid(limited.apiKeyId)),
      charges.map(({ limited }) => limited?.limits ?? 0),
    ];
    const { rows: results, sentAt } = await queue.connection.query<ChargedResult>(ADMIT_CHARGED, values);
    const byId = new Map(results.map((result) => [result.id, result]));
    this.clock.observe(results[0]!.database_time, sentAt);
    if (results.some(({ moved }) => moved)) this.states.refreshSoon();
    let isBusy = false;
    for (const { id, waiting } of rows) {
      const result = byId.get(id)!;
      if (!result.current) {
        admissionMetrics.stale.value += waiting.length;
        for (const { resolve } of waiting) resolve(STALE);
      } else if (!result.held) isBusy = this.#waitForLocks(queue, waiting) || isBusy;
      else if (result.admitted) this.#resolveAdmitted(waiting, result);
      else this.#rejectExcess(queue, waiting, result);
    }
    // Another transaction holds the locks for the duration of one statement.
    if (isBusy) await new Promise((resolve) => setTimeout(resolve, Math.random() * BUSY_PAUSE_MS));
  }

  #resolveAdmitted(waiting: readonly Charged[], { left, low, windows }: ChargedResult): void {
    const { shard, charge } = waiting[0]!;
    const amount = amountOf(waiting);
    this.#updateReach(charge.organizationId, left);
    this.#updateReach(charge.limited?.apiKeyId, windows && roomOf(windows) - amount);
    this.notifier.notify(shard);
    const fellBelow =
      left !== null && left + amount >= low! && left < low! ? { fellBelow: { balance: left, low: low! } } : {};
    let taken = 0;
    for (const [index, { charge, resolve }] of waiting.entries()) {
      taken += charge.amount;
      resolve({ is: 'admitted', ...(index === 0 && fellBelow), ...statusesOf(windows, taken) });
    }
  }

  /** Updates `#reach` for an organization or key that has an entry. */
  #updateReach(source: string | undefined, remaining: number | null): void {
    if (source && remaining !== null && this.#reach.has(source)) this.#reach.set(source, remaining);
  }

  /** Rejects the requests that exceed what is left. Returns the others to the queue, in order. */
  #rejectExcess(queue: BatchQueue<Charged>, waiting: readonly Charged[], { fits, windows, rest }: ChargedResult): void {
    const { organizationId, limited } = waiting[0]!.charge;
    const [source, available] = fits ? [organizationId!, rest!] : [limited!.apiKeyId, roomOf(windows!)];
    const within = waiting.filter(({ charge }) => charge.amount <= available);
    for (const { charge, resolve } of waiting) {
      if (charge.amount > available)
        resolve(fits ? { is: 'not covered', ...statusesOf(windows, 0) } : overALimit(windows!, charge.amount));
    }
    if (within.length > 0) this.#reach.set(source, available);
    else this.#reach.delete(source);
    queue.returnToFront(within);
  }

  /** Returns the requests to the queue, except those that have waited too long. */
  #waitForLocks(queue: BatchQueue<Charged>, waiting: readonly Charged[]): boolean {
    const now = performance.now();
    const patient: Charged[] = [];
    for (const one of waiting) {
      if (now - (one.busySince ??= now) < MAX_BUSY_MS) patient.push(one);
      else one.reject(unavailable('A rate limit or the balance of the request is being changed'));
    }
    queue.returnToFront(patient);
    return patient.length > 0;
  }
}

function statusesOf(
  windows: readonly Window[] | null,
  taken: number,
): { readonly limits?: readonly RateLimitStatus[] } {
  return windows ? { limits: windows.map((window) => statusOf(window, taken)) } : {};
}

function overALimit(windows: readonly Window[], amount: number): Outcome {
  const { window, seconds } = longestWait(windows, amount);
  const limits = windows.map((window) => statusOf(window, 0));
  return { is: 'over a limit', limits, by: statusOf(window, 0), retryAfter: seconds };
}
