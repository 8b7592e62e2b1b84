import { AsyncLocalStorage } from 'node:async_hooks';
import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { v7 } from 'uuid';
import { toUuid } from '#libs/contract/ids.js';
import { DatabaseClock } from '../clock.js';
import { Config } from '../config.js';
import { isDatabaseAway } from '../database.js';
import { DomainError } from '../errors.js';
import { AdmissionConnection } from './admission-connection.js';
import { admissionMetrics } from './admission-metrics.js';
import { bundleOf } from './bundle.js';
import { IngestBell } from './ingest-bell.js';
import { Outage } from './outage.js';

interface State {
  readonly shard: number;
  readonly tag: string;
}

/** One event that is stored only if the authorization state is still the one under which it was decided. */
interface Guarded {
  readonly shard: number;
  /** The tag of the shard's state that the decision was made under; null for what needs no permission, a refusal. */
  readonly tag: string | null;
  /** A second state that has to be as it was: that of the key which asked on behalf of somebody else. */
  readonly callerGuard?: State | undefined;
  /** What it costs the balance of an organization: stored and charged together, or neither. */
  readonly charge?: { readonly organizationId: string; readonly amount: number } | undefined;
  /** The text of the event. */
  readonly entry: string;
}

/**
 * - `admitted`: the event is on disk, and paid for. `fellBelow`: with it the balance fell below what its owner calls low.
 * - `stale`: the state has moved, nothing was stored; decide again.
 * - `not covered`: the balance does not reach, nothing was stored.
 */
export type Outcome =
  | { readonly is: 'admitted'; readonly fellBelow?: { readonly balance: number; readonly low: number } }
  | { readonly is: 'stale' | 'not covered' };

interface Waiting extends Guarded {
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: Error) => void;
  /** How often its organization's balance was locked by somebody else. */
  busy: number;
}

interface Charged extends Waiting {
  readonly charge: NonNullable<Guarded['charge']>;
}

/** Events decided under the same state: they are stored, or are found stale, together. */
interface Row<W extends Waiting = Waiting> {
  readonly id: string;
  readonly waiting: readonly W[];
}

const MAX_WAITING = 10_000;
const MAX_BATCH = 512;
const MAX_BUSY = 100;
const PATIENCE_MS = 1_000;
const BUSY_PAUSE_MS = 5;

/**
 * The heart of promises 1 and 2: a "yes" is a durable append to the inbox, and the append succeeds only where the shard's
 * state still bears the tag of the decision. A request that begins after a change has answered runs this statement on a
 * snapshot that holds the change, so the tags differ and it is decided anew.
 *
 * Without locks: a change that commits while the statement runs was concurrent with the request.
 */
const CURRENT = `
  SELECT r.* FROM r
  JOIN authz_state a ON a.shard = r.shard
  LEFT JOIN authz_state c ON c.shard = r.caller_shard
  WHERE (r.tag IS NULL OR a.tag = r.tag) AND (r.caller_tag IS NULL OR c.tag = r.caller_tag)`;
const ADMIT = {
  name: 'admit',
  text: `
    WITH r AS MATERIALIZED (
      SELECT shard, tag, id, substring($4::bytea FROM start FOR length) AS body, caller_shard, caller_tag
      FROM unnest($1::smallint[], $2::bigint[], $3::uuid[], $5::int[], $6::int[], $7::smallint[], $8::bigint[])
        AS t (shard, tag, id, start, length, caller_shard, caller_tag)
    ), ok AS MATERIALIZED (${CURRENT}),
    ins AS (
      INSERT INTO event_batch (shard, id, body) SELECT shard, id, body FROM ok RETURNING id
    )
    SELECT array(SELECT id FROM ins)::text[] AS admitted,
           extract(epoch FROM statement_timestamp())::float8 * 1000 AS database_time`,
};

/**
 * The same with a charge, one row for an organization: event and debit, or neither. A balance that somebody else has
 * locked is passed over (`balance` is null) instead of waited for, with the snapshot growing old meanwhile.
 */
const ADMIT_CHARGED = {
  name: 'admit-charged',
  text: `
    WITH r AS MATERIALIZED (
      SELECT shard, tag, id, substring($4::bytea FROM start FOR length) AS body, caller_shard, caller_tag,
             organization_id, amount
      FROM unnest($1::smallint[], $2::bigint[], $3::uuid[], $5::int[], $6::int[], $7::smallint[], $8::bigint[],
                  $9::uuid[], $10::bigint[])
        AS t (shard, tag, id, start, length, caller_shard, caller_tag, organization_id, amount)
    ), ok AS MATERIALIZED (${CURRENT}),
    held AS MATERIALIZED (
      SELECT c.organization_id, c.balance, c.low_below FROM credit c
      WHERE c.organization_id IN (SELECT organization_id FROM ok)
      ORDER BY c.organization_id FOR NO KEY UPDATE OF c SKIP LOCKED
    ), paid AS (
      -- The balance as it was locked, not as the snapshot has it.
      UPDATE credit c SET balance = held.balance - ok.amount
      FROM ok JOIN held ON held.organization_id = ok.organization_id
      WHERE c.organization_id = ok.organization_id AND held.balance >= ok.amount
      RETURNING c.organization_id
    ), ins AS (
      INSERT INTO event_batch (shard, id, body) SELECT shard, id, body FROM ok
      WHERE organization_id IN (SELECT organization_id FROM paid) RETURNING id
    )
    SELECT r.id::text, ok.id IS NOT NULL AS current, ins.id IS NOT NULL AS admitted,
           held.balance::float8 AS balance, held.low_below::float8 AS low,
           extract(epoch FROM statement_timestamp())::float8 * 1000 AS database_time
    FROM r LEFT JOIN ok ON ok.id = r.id LEFT JOIN ins ON ins.id = r.id
    LEFT JOIN held ON held.organization_id = ok.organization_id`,
};

interface ChargedAnswer {
  readonly id: string;
  readonly current: boolean;
  readonly admitted: boolean;
  readonly balance: number | null;
  readonly low: number | null;
  readonly database_time: number;
}

/**
 * Gathers what is to be appended and sends it in batches that clock themselves: one is in flight, the next gathers
 * meanwhile. On connections of its own, so that nothing else makes it wait; what is charged has one apart, for it may have
 * to wait for other nodes.
 */
@Injectable()
export class Admission implements OnApplicationShutdown {
  readonly #logger = new Logger(Admission.name);
  readonly #free: Lane<Waiting>;
  readonly #charged: Lane<Charged>;
  /** What is known of balances that did not reach: how much of what waits the next row can hold. */
  readonly #reach = new Map<string, number>();

  constructor(
    config: Config,
    private readonly clock: DatabaseClock,
    private readonly bell: IngestBell,
    outage: Outage,
  ) {
    const connect = () => new AdmissionConnection(config.settings.DATABASE_URL);
    this.#free = new Lane(connect(), (lane, batch) => this.#admit(lane, batch), outage, this.#logger);
    this.#charged = new Lane(connect(), (lane, batch) => this.#admitCharged(lane, batch), outage, this.#logger);
  }

  /**
   * @throws DomainError `audit_unavailable` when it could not be stored, or it is not known whether it was; where the
   * database is away, that is its cause
   */
  append(event: Guarded): Promise<Outcome> {
    const { charge } = event;
    return new Promise((resolve, reject) => {
      const waiting = { ...event, resolve, reject, busy: 0 };
      if (charge) this.#charged.add({ ...waiting, charge });
      else this.#free.add(waiting);
    });
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.#free.close(), this.#charged.close()]);
  }

  async #admit(lane: Lane<Waiting>, batch: readonly Waiting[]): Promise<void> {
    const rows = [...Map.groupBy(batch, stateOf).values()].map((waiting): Row => ({ id: v7(), waiting }));
    const sentAt = performance.now();
    const [answer] = await lane.connection.query<{ admitted: string[]; database_time: number }>(ADMIT, columnsOf(rows));
    this.clock.observe(answer!.database_time, sentAt);
    const admitted = new Set(answer!.admitted);
    for (const { id, waiting } of rows) {
      if (admitted.has(id)) this.bell.ring(waiting[0]!.shard);
      else admissionMetrics.stale.value += waiting.length;
      for (const { resolve } of waiting) resolve({ is: admitted.has(id) ? 'admitted' : 'stale' });
    }
  }

  async #admitCharged(lane: Lane<Charged>, batch: readonly Charged[]): Promise<void> {
    const { rows, later } = gather(batch, this.#reach);
    lane.putBack(later);
    const values = [
      ...columnsOf(rows),
      rows.map(({ waiting }) => toUuid(waiting[0]!.charge.organizationId)),
      rows.map(({ waiting }) => costOf(waiting)),
    ];
    const sentAt = performance.now();
    const answers = await lane.connection.query<ChargedAnswer>(ADMIT_CHARGED, values);
    const byId = new Map(answers.map((answer) => [answer.id, answer]));
    this.clock.observe(answers[0]!.database_time, sentAt);
    let isBusy = false;
    for (const { id, waiting } of rows) {
      const answer = byId.get(id)!;
      if (!answer.current) {
        admissionMetrics.stale.value += waiting.length;
        for (const { resolve } of waiting) resolve({ is: 'stale' });
      } else if (answer.balance === null) isBusy = this.#waitForBalance(lane, waiting) || isBusy;
      else if (answer.admitted) this.#settle(waiting, answer.balance, answer.low!);
      else this.#fallShort(lane, waiting, answer.balance);
    }
    // Somebody else holds the balance for the length of a statement.
    if (isBusy) await new Promise((resolve) => setTimeout(resolve, Math.random() * BUSY_PAUSE_MS));
  }

  #settle(waiting: readonly Charged[], balance: number, low: number): void {
    const { shard, charge } = waiting[0]!;
    const left = balance - costOf(waiting);
    if (this.#reach.has(charge.organizationId)) this.#reach.set(charge.organizationId, left);
    this.bell.ring(shard);
    const fellBelow = balance >= low && left < low ? { balance: left, low } : undefined;
    for (const [index, { resolve }] of waiting.entries()) {
      resolve({ is: 'admitted', ...(index === 0 && fellBelow && { fellBelow }) });
    }
  }

  /** What the balance could not pay in one is told so; the rest goes again, in order, as far as the balance reaches. */
  #fallShort(lane: Lane<Charged>, waiting: readonly Charged[], balance: number): void {
    const affordable = waiting.filter(({ charge }) => charge.amount <= balance);
    for (const { charge, resolve } of waiting) if (charge.amount > balance) resolve({ is: 'not covered' });
    const { organizationId } = waiting[0]!.charge;
    if (affordable.length > 0) this.#reach.set(organizationId, balance);
    else this.#reach.delete(organizationId);
    lane.putBack(affordable);
  }

  #waitForBalance(lane: Lane<Charged>, waiting: readonly Charged[]): boolean {
    const patient = waiting.filter((one) => (one.busy += 1) < MAX_BUSY);
    for (const one of waiting) if (one.busy >= MAX_BUSY) one.reject(unavailable('The balance is being changed'));
    lane.putBack(patient);
    return patient.length > 0;
  }
}

/** What works for many requests is not to pass for a part of the one that came first. */
const outsideOfRequests = AsyncLocalStorage.snapshot();

/** A queue and the connection that empties it, one batch at a time. */
class Lane<W extends Waiting> {
  #waiting: W[] = [];
  #pumping: Promise<void> | undefined;

  constructor(
    readonly connection: AdmissionConnection,
    private readonly send: (lane: Lane<W>, batch: readonly W[]) => Promise<void>,
    private readonly outage: Outage,
    private readonly logger: Logger,
  ) {}

  add(waiting: W): void {
    if (this.#waiting.length >= MAX_WAITING) {
      waiting.reject(unavailable('Too many requests are waiting to be recorded'));
      return;
    }
    this.#waiting.push(waiting);
    this.#pumping ??= outsideOfRequests(() => this.#pump());
  }

  /** To the front: those that waited longest go first. */
  putBack(waiting: readonly W[]): void {
    this.#waiting = [...waiting, ...this.#waiting];
  }

  async close(): Promise<void> {
    await this.#pumping;
    await this.connection.end();
  }

  async #pump(): Promise<void> {
    // What arrives in the same turn of the event loop goes along.
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MAX_BATCH);
      admissionMetrics.batchSize.observe(batch.length);
      const sentAt = performance.now();
      try {
        await this.send(this, batch);
        this.outage.end();
      } catch (error) {
        this.logger.error(`Events could not be stored: ${String(error)}`);
        if (isDatabaseAway(error)) this.outage.begin();
        // Whoever waits behind a database that hangs is told now, and not after as long a wait for each batch.
        const hangs = performance.now() - sentAt >= PATIENCE_MS;
        const failed = new Set(hangs ? [...batch, ...this.#waiting] : batch);
        this.#waiting = this.#waiting.filter((waiting) => !failed.has(waiting));
        for (const waiting of failed) waiting.reject(unavailable('The request could not be recorded', error));
      }
    }
    this.#pumping = undefined;
  }
}

/**
 * One row for each organization, whose debits are one: what was decided under another state, and what goes beyond what the
 * balance is known to reach, comes later. The first of each always goes, for only a statement may refuse it.
 */
export function gather(
  batch: readonly Charged[],
  reach: Map<string, number>,
): { readonly rows: readonly Row<Charged>[]; readonly later: readonly Charged[] } {
  const later: Charged[] = [];
  const rows = [...Map.groupBy(batch, ({ charge }) => charge.organizationId)].map(([organizationId, all]) => {
    const state = stateOf(all[0]!);
    const limit = reach.get(organizationId) ?? Infinity;
    let sum = 0;
    const waiting = all.filter((one, index) => {
      const fits = index === 0 || (stateOf(one) === state && sum + one.charge.amount <= limit);
      if (fits) sum += one.charge.amount;
      else later.push(one);
      return fits;
    });
    // Nothing is left to hold back, so what was known may be forgotten.
    if (waiting.length === all.length) reach.delete(organizationId);
    return { id: v7(), waiting };
  });
  return { rows, later };
}

function costOf(waiting: readonly Charged[]): number {
  return waiting.reduce((sum, { charge }) => sum + charge.amount, 0);
}

/** The columns that both statements have. */
function columnsOf(rows: readonly Row[]): unknown[] {
  const states = rows.map(({ waiting }) => waiting[0]!);
  // One value of bytes goes over the wire as it is; an array of them would become text, twice as long.
  const bundles = rows.map(({ waiting }) => bundleOf(waiting.map(({ entry }) => entry)));
  let end = 0;
  const starts = bundles.map(({ length }) => (end += length) - length + 1);
  return [
    states.map(({ shard }) => shard),
    states.map(({ tag }) => tag),
    rows.map(({ id }) => id),
    Buffer.concat(bundles),
    starts,
    bundles.map(({ length }) => length),
    states.map(({ callerGuard }) => callerGuard?.shard ?? null),
    states.map(({ callerGuard }) => callerGuard?.tag ?? null),
  ];
}

/** What the event was decided under, as one text. */
function stateOf({ shard, tag, callerGuard }: Guarded): string {
  if (!callerGuard) return `${shard} ${tag}`;
  return `${shard} ${tag} ${callerGuard.shard} ${callerGuard.tag}`;
}

function unavailable(detail: string, cause?: unknown): DomainError {
  admissionMetrics.refused.value += 1;
  return new DomainError('audit_unavailable', detail, { retryAfter: 1, cause });
}
