import { AsyncLocalStorage } from 'node:async_hooks';
import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { v7 } from 'uuid';
import { toUuid } from '#libs/contract/ids.js';
import { DatabaseClock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { isDatabaseAway } from '#libs/database/database.js';
import { errorText } from '#libs/platform/error-text.js';
import { DomainError } from '#libs/platform/errors.js';
import { AdmissionConnection } from './admission-connection.js';
import { admissionMetrics } from './admission-metrics.js';
import { AuthorizationStates, CHANGED_KINDS } from './authorization-states.js';
import { bundleOf } from '#libs/outbox/packed-entries.js';
import { IngestBell } from '#libs/outbox/outbox-notifier.js';
import { Outage } from './outage.js';
import { longestWait, roomOf, standingOf, SUB_WINDOWS, type Standing, type Window } from './rate-limit-window.js';

/** What a decision rests on, and the authorization state as of which it was made. */
export interface Basis {
  readonly shard: number;
  readonly seq: number;
  readonly tag: string;
  /** The ids of all whose changes could make the decision another one. */
  readonly restsOn: readonly string[];
}

export interface Charge {
  readonly amount: number;
  /** Whose balance pays; absent where there is none. */
  readonly organizationId?: string | undefined;
  /** The key whose limits it counts against, and how many these are; absent where it has none. */
  readonly limited?: { readonly apiKeyId: string; readonly limits: number } | undefined;
}

/** One event that is stored only if nothing has changed of what its decision rests on. */
export interface Guarded {
  readonly shard: number;
  /** Null for what needs no permission, a refusal. */
  readonly basis: Basis | null;
  /** A second decision that has to hold as well: that about the key which asked for the verification. */
  readonly callerGuard?: Basis | undefined;
  /** Stored together only with decisions that rest on the same: together with others it was found stale before. */
  readonly apart?: boolean;
  /** What it takes: stored and taken together, or neither. */
  readonly charge?: Charge | undefined;
  /** The text of the event. */
  readonly entry: string;
}

/**
 * - `admitted`: the event is on disk, and paid for. `fellBelow`: with it the balance fell below what its owner calls low.
 * - `stale`: something changed that the decision rests on, or may rest on; nothing was stored. Decide again.
 * - `not covered`: the balance does not reach, nothing was stored or taken.
 * - `over a limit`: a limit of the key does not let it through, nothing was stored or taken. `by` is the one that it would
 *   wait for the longest, until `retryAfter` seconds have passed.
 *
 * `limits` are those of the key as the answer leaves them.
 */
export type Outcome =
  | {
      readonly is: 'admitted';
      readonly fellBelow?: { readonly balance: number; readonly low: number };
      readonly limits?: readonly Standing[];
    }
  | { readonly is: 'stale' }
  | { readonly is: 'not covered'; readonly limits?: readonly Standing[] }
  | {
      readonly is: 'over a limit';
      readonly limits: readonly Standing[];
      readonly by: Standing;
      readonly retryAfter: number;
    };

interface Waiting extends Guarded {
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: Error) => void;
  /** Since when it waits for somebody else who has locked what it takes from, on the clock of `performance.now`. */
  busySince?: number;
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
/** How many limits one statement counts against: each takes it some time, and its time is bounded. */
const MAX_LIMITS = 512;
/** Who holds a lock gives it back with their statement, which may wait for the disk. */
const MAX_BUSY_MS = 2_000;
const PATIENCE_MS = 1_000;
const BUSY_PAUSE_MS = 5;

/** What a row of many decisions says of what they rest on. Beyond it any change of the shard makes the row stale. */
const MAX_RESTS_ON = 32;
/** Of a decision that is older than so many changes, it is not asked which of them concern it. */
const MAX_CHANGES_SINCE = 1_000;

/**
 * Whether a decision still holds: no change since then concerns what it rests on. Known only where every change from the
 * state of the decision up to the present one is recorded, those two included; a kind of change that this version does not
 * know concerns everything.
 */
function stillHolds(state: string, prefix: '' | 'caller_'): string {
  const [seq, tag, restsOn] = ['seq', 'tag', 'rests_on'].map((column) => `r.${prefix}${column}`);
  return `(r.${prefix}tag IS NULL OR ${state}.tag = ${tag} OR CASE
    WHEN ${restsOn} IS NULL OR ${state}.seq - ${seq} NOT BETWEEN 1 AND ${MAX_CHANGES_SINCE} THEN false
    ELSE (
      SELECT count(*) = ${state}.seq - ${seq} + 1
         AND bool_or(h.seq = ${seq} AND h.tag = ${tag}) AND bool_or(h.seq = ${state}.seq AND h.tag = ${state}.tag)
         AND NOT bool_or(h.seq > ${seq} AND (h.id = ANY (${restsOn}) OR h.kind <> ALL ('{${CHANGED_KINDS.join(',')}}')))
      FROM authz_change h WHERE h.shard = ${state}.shard AND h.seq BETWEEN ${seq} AND ${state}.seq
    ) END)`;
}

/**
 * The heart of promises 1 and 2: a "yes" is a durable append to the inbox, and the append succeeds only where the decision
 * still holds. A request that begins after a change has answered runs this statement on a snapshot that holds the change,
 * so the tags differ, and the record of changes has one that concerns the decision: it is made anew. Changes of others in
 * the same shard, however many there are, cost it no second attempt.
 *
 * Without locks: a change that commits while the statement runs was concurrent with the request.
 */
const CURRENT = `
  SELECT r.*, r.tag IS NOT NULL AND a.tag <> r.tag AS moved FROM r
  JOIN authz_state a ON a.shard = r.shard
  LEFT JOIN authz_state c ON c.shard = r.caller_shard
  WHERE ${stillHolds('a', '')} AND ${stillHolds('c', 'caller_')}`;
const ADMIT = {
  name: 'admit',
  text: `
    WITH r AS MATERIALIZED (
      SELECT shard, tag, id, substring($4::bytea FROM start FOR length) AS body, caller_shard, caller_tag,
             seq, rests_on::uuid[] AS rests_on, caller_seq, caller_rests_on::uuid[] AS caller_rests_on
      FROM unnest($1::smallint[], $2::bigint[], $3::uuid[], $5::int[], $6::int[], $7::smallint[], $8::bigint[],
                  $9::bigint[], $10::text[], $11::bigint[], $12::text[])
        AS t (shard, tag, id, start, length, caller_shard, caller_tag, seq, rests_on, caller_seq, caller_rests_on)
    ), ok AS MATERIALIZED (${CURRENT}),
    ins AS (
      INSERT INTO event_batch (shard, id, body) SELECT shard, id, body FROM ok RETURNING id
    )
    SELECT array(SELECT id FROM ins)::text[] AS admitted, EXISTS (SELECT FROM ok WHERE moved) AS moved,
           extract(epoch FROM statement_timestamp())::float8 * 1000 AS database_time`,
};

/**
 * The same with a charge: the event, the debit and what it takes of the key's limits, or none of them. What somebody else
 * has locked is passed over (`held` is false) instead of waited for, with the snapshot growing old meanwhile. A balance
 * comes first, so that whoever does not get it does not keep limits from others.
 *
 * Everything counts as it was locked, not as the snapshot has it, and the instant is taken after the locks: for each limit
 * the instants stand in the order of its admissions, which is what makes its promise exact.
 */
const ADMIT_CHARGED = {
  name: 'admit-charged',
  text: `
    WITH r AS MATERIALIZED (
      SELECT shard, tag, id, substring($4::bytea FROM start FOR length) AS body, caller_shard, caller_tag,
             seq, rests_on::uuid[] AS rests_on, caller_seq, caller_rests_on::uuid[] AS caller_rests_on,
             amount, organization_id, api_key_id, limits, position
      FROM unnest($1::smallint[], $2::bigint[], $3::uuid[], $5::int[], $6::int[], $7::smallint[], $8::bigint[],
                  $9::bigint[], $10::text[], $11::bigint[], $12::text[],
                  $13::bigint[], $14::uuid[], $15::uuid[], $16::int[]) WITH ORDINALITY
        AS t (shard, tag, id, start, length, caller_shard, caller_tag, seq, rests_on, caller_seq, caller_rests_on,
              amount, organization_id, api_key_id, limits, position)
    ), ok AS MATERIALIZED (${CURRENT}),
    purse AS MATERIALIZED (
      SELECT c.organization_id, c.balance, c.low_below FROM credit c
      WHERE c.organization_id IN (SELECT organization_id FROM ok)
      ORDER BY c.organization_id FOR NO KEY UPDATE OF c SKIP LOCKED
    ), solvent AS MATERIALIZED (
      SELECT id, position, amount, api_key_id, limits, organization_id, balance, low_below
      FROM ok LEFT JOIN purse USING (organization_id) WHERE organization_id IS NULL OR balance IS NOT NULL
    ), rate AS MATERIALIZED (
      SELECT s.*, k.name, k.quota, k.window_seconds, k.newest, k.counts
      FROM solvent s JOIN api_key_rate k ON k.api_key_id = s.api_key_id
      ORDER BY k.api_key_id, k.name FOR NO KEY UPDATE OF k SKIP LOCKED
    ), instant AS MATERIALIZED (
      SELECT count(*), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros FROM rate
    ), aged AS MATERIALIZED (
      SELECT rate.*, bucket, now_counts, (SELECT sum(n) FROM unnest(now_counts) AS n) AS used,
             (micros - bucket * (window_seconds * 1000000::float8 / ${SUB_WINDOWS})) / 1000000 AS elapsed
      FROM instant, rate,
        LATERAL (SELECT micros * ${SUB_WINDOWS} / (window_seconds * 1000000::bigint) AS present) AS p,
        -- A clock that went back stands still until it has caught up; by more than a window, it begins anew.
        LATERAL (SELECT CASE WHEN newest - present BETWEEN 0 AND ${SUB_WINDOWS} THEN newest ELSE present END AS bucket) AS b,
        LATERAL (SELECT least(abs(bucket - newest), ${SUB_WINDOWS} + 1)::int AS gone) AS g,
        LATERAL (SELECT counts[gone + 1:] || array_fill(0, ARRAY[gone]) AS now_counts) AS c
    ), line AS MATERIALIZED (
      -- One for each limit of a row, or one for a row without. Joined again they would be compared each with each.
      SELECT id, position, amount, organization_id, balance, low_below, api_key_id, name, bucket, now_counts,
             json_build_object('name', name, 'limit', quota, 'windowSeconds', window_seconds,
                               'counts', now_counts, 'elapsed', elapsed) AS standing,
             row_number() OVER (PARTITION BY id ORDER BY name) = 1 AS leads,
             count(*) OVER (PARTITION BY id) = limits AS held,
             amount <= min(quota - used) OVER (PARTITION BY id) AS fits
      FROM aged
      UNION ALL
      SELECT id, position, amount, organization_id, balance, low_below, NULL, NULL, NULL, NULL, NULL, true, true, true
      FROM solvent WHERE api_key_id IS NULL
    ), owing AS MATERIALIZED (
      SELECT *, sum(amount) FILTER (WHERE leads AND held AND fits) OVER (PARTITION BY organization_id ORDER BY position)
                AS owed
      FROM line
    ), decided AS MATERIALIZED (
      SELECT *, held AND fits AND (organization_id IS NULL OR owed <= balance) AS admitted FROM owing
    ), bill AS MATERIALIZED (
      SELECT organization_id, balance - max(owed) AS rest FROM decided
      WHERE admitted AND organization_id IS NOT NULL GROUP BY organization_id, balance
    ), paid AS (
      UPDATE credit c SET balance = bill.rest FROM bill WHERE c.organization_id = bill.organization_id
    ), taken AS (
      UPDATE api_key_rate k
      SET newest = d.bucket,
          counts = d.now_counts[:${SUB_WINDOWS}] || (d.now_counts[${SUB_WINDOWS} + 1] + d.amount)::int
      FROM decided d WHERE d.admitted AND k.api_key_id = d.api_key_id AND k.name = d.name
    ), ins AS (
      INSERT INTO event_batch (shard, id, body)
      SELECT shard, id, body FROM ok JOIN decided USING (id) WHERE leads AND admitted
    ), told AS MATERIALIZED (
      SELECT id, organization_id, bool_and(held) AS held, bool_and(fits) AS fits, bool_and(admitted) AS admitted,
             json_agg(standing ORDER BY name) FILTER (WHERE name IS NOT NULL) AS windows,
             min(balance) AS balance, min(low_below) AS low, min(owed) AS owed
      FROM decided GROUP BY id, organization_id
    )
    SELECT r.id::text, ok.id IS NOT NULL AS current, coalesce(ok.moved, false) AS moved, coalesce(held, false) AS held, fits, windows, admitted,
           (balance - owed)::float8 AS left, coalesce(rest, balance)::float8 AS rest, low::float8 AS low,
           extract(epoch FROM statement_timestamp())::float8 * 1000 AS database_time
    FROM r LEFT JOIN ok USING (id) LEFT JOIN told USING (id)
    LEFT JOIN bill ON bill.organization_id = told.organization_id`,
};

interface Answer {
  readonly admitted: string[];
  /** Whether a state has moved since decisions that still hold were made. */
  readonly moved: boolean;
  readonly database_time: number;
}

interface ChargedAnswer {
  readonly id: string;
  /** Whether the decision still holds. */
  readonly current: boolean;
  /** Whether it does although the state has moved since. */
  readonly moved: boolean;
  /** Whether all that it takes from was there to be locked; without, the rest says nothing. */
  readonly held: boolean;
  /** Whether the limits let it through. */
  readonly fits: boolean;
  /** The limits of the key before it. */
  readonly windows: readonly Window[] | null;
  readonly admitted: boolean;
  /** What it left of the balance. */
  readonly left: number | null;
  /** What the whole statement left of it. */
  readonly rest: number | null;
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
  /** What is known of balances and of limits that did not reach: how much of what waits the next rows can hold. */
  readonly #reach = new Map<string, number>();

  constructor(
    config: Config,
    private readonly clock: DatabaseClock,
    private readonly bell: IngestBell,
    private readonly states: AuthorizationStates,
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
      const waiting = { ...event, resolve, reject };
      if (charge) this.#charged.add({ ...waiting, charge });
      else this.#free.add(waiting);
    });
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.#free.close(), this.#charged.close()]);
  }

  async #admit(lane: Lane<Waiting>, batch: readonly Waiting[]): Promise<void> {
    const rows = [...Map.groupBy(batch, rowOf).values()].map((waiting): Row => ({ id: v7(), waiting }));
    const sentAt = performance.now();
    const [answer] = await lane.connection.query<Answer>(ADMIT, columnsOf(rows, MAX_RESTS_ON));
    this.clock.observe(answer!.database_time, sentAt);
    if (answer!.moved) this.states.refreshSoon();
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
    const charges = rows.map(({ waiting }) => waiting[0]!.charge);
    const values = [
      ...columnsOf(rows, Infinity),
      rows.map(({ waiting }) => amountOf(waiting)),
      charges.map(({ organizationId }) => organizationId && toUuid(organizationId)),
      charges.map(({ limited }) => limited && toUuid(limited.apiKeyId)),
      charges.map(({ limited }) => limited?.limits ?? 0),
    ];
    const sentAt = performance.now();
    const answers = await lane.connection.query<ChargedAnswer>(ADMIT_CHARGED, values);
    const byId = new Map(answers.map((answer) => [answer.id, answer]));
    this.clock.observe(answers[0]!.database_time, sentAt);
    if (answers.some(({ moved }) => moved)) this.states.refreshSoon();
    let isBusy = false;
    for (const { id, waiting } of rows) {
      const answer = byId.get(id)!;
      if (!answer.current) {
        admissionMetrics.stale.value += waiting.length;
        for (const { resolve } of waiting) resolve({ is: 'stale' });
      } else if (!answer.held) isBusy = this.#waitForOthers(lane, waiting) || isBusy;
      else if (answer.admitted) this.#settle(waiting, answer);
      else this.#fallShort(lane, waiting, answer);
    }
    // Somebody else holds what is needed for the length of a statement.
    if (isBusy) await new Promise((resolve) => setTimeout(resolve, Math.random() * BUSY_PAUSE_MS));
  }

  #settle(waiting: readonly Charged[], { left, low, windows }: ChargedAnswer): void {
    const { shard, charge } = waiting[0]!;
    const amount = amountOf(waiting);
    this.#learnReach(charge.organizationId, left);
    this.#learnReach(charge.limited?.apiKeyId, windows && roomOf(windows) - amount);
    this.bell.ring(shard);
    const fellBelow =
      left !== null && left + amount >= low! && left < low! ? { fellBelow: { balance: left, low: low! } } : {};
    let taken = 0;
    for (const [index, { charge, resolve }] of waiting.entries()) {
      taken += charge.amount;
      resolve({ is: 'admitted', ...(index === 0 && fellBelow), ...standingsOf(windows, taken) });
    }
  }

  /** What is known of the reach is only kept up where something waits for it. */
  #learnReach(source: string | undefined, reach: number | null): void {
    if (source && reach !== null && this.#reach.has(source)) this.#reach.set(source, reach);
  }

  /** What could not be taken in one is told so; the rest goes again, in order, as far as it reaches. */
  #fallShort(lane: Lane<Charged>, waiting: readonly Charged[], { fits, windows, rest }: ChargedAnswer): void {
    const { organizationId, limited } = waiting[0]!.charge;
    const [source, reach] = fits ? [organizationId!, rest!] : [limited!.apiKeyId, roomOf(windows!)];
    const within = waiting.filter(({ charge }) => charge.amount <= reach);
    for (const { charge, resolve } of waiting) {
      if (charge.amount > reach)
        resolve(fits ? { is: 'not covered', ...standingsOf(windows, 0) } : overALimit(windows!, charge.amount));
    }
    if (within.length > 0) this.#reach.set(source, reach);
    else this.#reach.delete(source);
    lane.putBack(within);
  }

  #waitForOthers(lane: Lane<Charged>, waiting: readonly Charged[]): boolean {
    const now = performance.now();
    const patient: Charged[] = [];
    for (const one of waiting) {
      if (now - (one.busySince ??= now) < MAX_BUSY_MS) patient.push(one);
      else one.reject(unavailable('What this takes from is being changed'));
    }
    lane.putBack(patient);
    return patient.length > 0;
  }
}

function standingsOf(windows: readonly Window[] | null, taken: number): { readonly limits?: readonly Standing[] } {
  return windows ? { limits: windows.map((window) => standingOf(window, taken)) } : {};
}

function overALimit(windows: readonly Window[], amount: number): Outcome {
  const { window, seconds } = longestWait(windows, amount);
  const limits = windows.map((window) => standingOf(window, 0));
  return { is: 'over a limit', limits, by: standingOf(window, 0), retryAfter: seconds };
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
        this.logger.error(`Events could not be stored: ${errorText(error)}`);
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
 * One row for a key with limits, and one for all keys of an organization that have none. What was decided under another
 * state, what goes beyond what is known to be left of a balance or a limit, and what there is no time for, comes later. What
 * is known holds nobody back who is the first to take from it, for only a statement may refuse.
 */
export function gather(
  batch: readonly Charged[],
  reach: Map<string, number>,
): { readonly rows: readonly Row<Charged>[]; readonly later: readonly Charged[] } {
  const rows = new Map<string, Charged[]>();
  const taken = new Map<string, number>();
  let limits = 0;
  const later: Charged[] = [];
  for (const one of batch) {
    const sources = sourcesOf(one.charge);
    const row = rows.get(sources[0]!);
    const sums = sources.map((source) => (taken.get(source) ?? 0) + one.charge.amount);
    const isWithinReach = sources.every(
      (source, n) => !taken.has(source) || sums[n]! <= (reach.get(source) ?? Infinity),
    );
    const more = row ? 0 : (one.charge.limited?.limits ?? 0);
    if (!isWithinReach || limits + more > MAX_LIMITS || (row && stateOf(row[0]!) !== stateOf(one))) {
      later.push(one);
      continue;
    }
    limits += more;
    for (const [n, source] of sources.entries()) taken.set(source, sums[n]!);
    if (row) row.push(one);
    else rows.set(sources[0]!, [one]);
  }
  // Where nothing is left to hold back, what was known may be forgotten.
  const heldBack = new Set(later.flatMap(({ charge }) => sourcesOf(charge)));
  for (const source of taken.keys()) if (!heldBack.has(source)) reach.delete(source);
  return { rows: [...rows.values()].map((waiting) => ({ id: v7(), waiting })), later };
}

/** What it takes from; the first tells whose row it is in. */
function sourcesOf({ organizationId, limited }: Charge): string[] {
  return [limited?.apiKeyId, organizationId].filter((source) => source !== undefined);
}

function amountOf(waiting: readonly Charged[]): number {
  return waiting.reduce((sum, { charge }) => sum + charge.amount, 0);
}

/**
 * The columns that both statements have.
 * @param most ids that a row of many decisions may rest on, beyond which it does not say on which
 */
function columnsOf(rows: readonly Row[], most: number): unknown[] {
  const bases = rows.map(({ waiting }) => waiting[0]!.basis);
  const callers = rows.map(({ waiting }) => waiting[0]!.callerGuard);
  // One value of bytes goes over the wire as it is; an array of them would become text, twice as long.
  const bundles = rows.map(({ waiting }) => bundleOf(waiting.map(({ entry }) => entry)));
  let end = 0;
  const starts = bundles.map(({ length }) => (end += length) - length + 1);
  return [
    rows.map(({ waiting }) => waiting[0]!.shard),
    bases.map((basis) => basis?.tag ?? null),
    rows.map(({ id }) => id),
    Buffer.concat(bundles),
    starts,
    bundles.map(({ length }) => length),
    callers.map((caller) => caller?.shard ?? null),
    callers.map((caller) => caller?.tag ?? null),
    bases.map((basis) => basis?.seq ?? null),
    rows.map(({ waiting }) => arrayOf(allOf(waiting, most))),
    callers.map((caller) => caller?.seq ?? null),
    callers.map((caller) => arrayOf(caller?.restsOn)),
  ];
}

/** All that the decisions of a row rest on; undefined for more than `most`. */
function allOf(waiting: readonly Waiting[], most: number): Iterable<string> | undefined {
  const all = new Set<string>();
  for (const { basis, apart } of waiting) {
    if (!basis) return undefined;
    for (const id of basis.restsOn) all.add(id);
    if (all.size > most && !apart) return undefined;
  }
  return all;
}

/** As the text of an array of UUIDs, for a row in an array of such. */
function arrayOf(ids: Iterable<string> | undefined): string | null {
  return ids ? `{${[...ids].map(toUuid).join(',')}}` : null;
}

/** The states that the event was decided under, as one text. */
function stateOf({ shard, basis, callerGuard }: Guarded): string {
  if (!callerGuard) return `${shard} ${basis?.tag}`;
  const { shard: callerShard, tag, restsOn } = callerGuard;
  return `${shard} ${basis?.tag} ${callerShard} ${tag} ${restsOn.join(' ')}`;
}

/** What is stored or found stale together. */
function rowOf(event: Guarded): string {
  return event.apart ? `${stateOf(event)} ${event.basis?.restsOn.join(' ')}` : stateOf(event);
}

function unavailable(detail: string, cause?: unknown): DomainError {
  admissionMetrics.refused.value += 1;
  return new DomainError('audit_unavailable', detail, { retryAfter: 1, cause });
}
