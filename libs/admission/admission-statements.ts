import { toUuid } from '#libs/contract/ids.js';
import { batchOfEntries, batchOfUses, type Batch } from '#libs/outbox/batches.js';
import { DATABASE_TIME } from '#libs/platform/clock.js';
import { CHANGED_KINDS } from './authorization-states.js';
import type { Row, Waiting } from './conditional-event.js';
import { SUB_WINDOWS, type Window } from './rate-limit-window.js';

/** The maximum number of ids for a row of many decisions. With more, any change of the shard makes the row stale. */
export const MAX_RESTS_ON = 32;
/** A decision is stale after more changes than this, whether or not they concern it. */
const MAX_CHANGES_SINCE = 1_000;

/**
 * SQL: whether a decision still holds, because no later change concerns an id that it rests on. It holds only if
 * `authz_change` has every change from the decision's state to the current one, both included. A change of a kind that
 * this version does not know concerns every decision.
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
 * The rows whose decisions still hold. Promises 1 and 2 rest on it: a "yes" is a durable append to the outbox, and the
 * append succeeds only if the decision still holds. A request that begins after a change has returned runs this
 * statement on a snapshot that contains the change. Then the tags differ, a recorded change concerns the decision, and
 * the API decides again. Other changes in the same shard cost no second decision.
 *
 * It takes no locks: a change that commits while the statement runs is concurrent with the request.
 */
const CURRENT = `
  SELECT r.*, r.tag IS NOT NULL AND a.tag <> r.tag AS moved FROM r
  JOIN authz_state a ON a.shard = r.shard
  LEFT JOIN authz_state c ON c.shard = r.caller_shard
  WHERE ${stillHolds('a', '')} AND ${stillHolds('c', 'caller_')}`;

/**
 * Stores the rows whose decisions hold because no state has changed since, which nearly all rows are. It says nothing
 * about the others: {@link ADMIT_CHANGED} does. PostgreSQL takes half of the time for it.
 */
export const ADMIT = {
  name: 'admit',
  text: `
    WITH ins AS (
      INSERT INTO outbox (shard, id, version, body)
      SELECT r.shard, r.id, r.version, substring($4::bytea FROM r.start FOR r.length)
      FROM unnest($1::smallint[], $2::bigint[], $3::uuid[], $5::int[], $6::int[], $7::smallint[], $8::bigint[],
                  $9::smallint[])
        AS r (shard, tag, id, start, length, caller_shard, caller_tag, version)
      JOIN authz_state a ON a.shard = r.shard
      LEFT JOIN authz_state c ON c.shard = r.caller_shard
      WHERE (r.tag IS NULL OR a.tag = r.tag) AND (r.caller_tag IS NULL OR c.tag = r.caller_tag)
      RETURNING id
    )
    SELECT array(SELECT id FROM ins)::text[] AS admitted, false AS moved,
           ${DATABASE_TIME} AS database_time`,
};

/** Stores the rows whose decisions still hold, whatever the states are now. */
export const ADMIT_CHANGED = {
  name: 'admit-changed',
  text: `
    -- The rows to store.
    WITH r AS MATERIALIZED (
      SELECT shard, tag, id, version, substring($4::bytea FROM start FOR length) AS body, caller_shard, caller_tag,
             seq, rests_on::uuid[] AS rests_on, caller_seq, caller_rests_on::uuid[] AS caller_rests_on
      FROM unnest($1::smallint[], $2::bigint[], $3::uuid[], $5::int[], $6::int[], $7::smallint[], $8::bigint[],
                  $9::smallint[], $10::bigint[], $11::text[], $12::bigint[], $13::text[])
        AS t (shard, tag, id, start, length, caller_shard, caller_tag, version, seq, rests_on, caller_seq,
              caller_rests_on)
    -- The rows whose decisions still hold.
    ), ok AS MATERIALIZED (${CURRENT}),
    -- Stores the events of these rows.
    ins AS (
      INSERT INTO outbox (shard, id, version, body) SELECT shard, id, version, body FROM ok RETURNING id
    )
    SELECT array(SELECT id FROM ins)::text[] AS admitted, EXISTS (SELECT FROM ok WHERE moved) AS moved,
           ${DATABASE_TIME} AS database_time`,
};

/**
 * Also charges each row: it stores the event, debits the balance and counts against the limits of the key, or does none
 * of these. The statement does not wait for locks of other transactions, because its snapshot would grow old. It
 * reports the rows that need them (`held` is false), and the caller tries again. It locks balances before limits, so
 * that a row whose balance is locked by others does not block limits.
 *
 * Balances and counts come from the locked rows, not from the snapshot. The time is read after locking, so that times
 * and admissions have the same order for each limit. This makes the limit exact.
 */
export const ADMIT_CHARGED = {
  name: 'admit-charged',
  text: `
    -- The rows to store, in the order in which their requests came.
    WITH r AS MATERIALIZED (
      SELECT shard, tag, id, version, substring($4::bytea FROM start FOR length) AS body, caller_shard, caller_tag,
             seq, rests_on::uuid[] AS rests_on, caller_seq, caller_rests_on::uuid[] AS caller_rests_on,
             amount, organization_id, api_key_id, limits, position
      FROM unnest($1::smallint[], $2::bigint[], $3::uuid[], $5::int[], $6::int[], $7::smallint[], $8::bigint[],
                  $9::smallint[], $10::bigint[], $11::text[], $12::bigint[], $13::text[],
                  $14::bigint[], $15::uuid[], $16::uuid[], $17::int[]) WITH ORDINALITY
        AS t (shard, tag, id, start, length, caller_shard, caller_tag, version, seq, rests_on, caller_seq,
              caller_rests_on, amount, organization_id, api_key_id, limits, position)
    -- The rows whose decisions still hold.
    ), ok AS MATERIALIZED (${CURRENT}),
    -- Locks the balances to charge. Leaves out balances that another transaction has locked.
    balance_row AS MATERIALIZED (
      SELECT c.organization_id, c.balance, c.low_below FROM credit c
      WHERE c.organization_id IN (SELECT organization_id FROM ok)
      ORDER BY c.organization_id FOR NO KEY UPDATE OF c SKIP LOCKED
    -- The rows whose balance is locked here, and the rows without one. Whether it covers them is decided below.
    ), chargeable AS MATERIALIZED (
      SELECT id, position, amount, api_key_id, limits, organization_id, balance, low_below
      FROM ok LEFT JOIN balance_row USING (organization_id) WHERE organization_id IS NULL OR balance IS NOT NULL
    -- Locks the limits of their keys. Leaves out limits that another transaction has locked.
    ), rate AS MATERIALIZED (
      SELECT s.*, k.name, k.quota, k.window_seconds, k.newest, k.counts
      FROM chargeable s JOIN api_key_rate k ON k.api_key_id = s.api_key_id
      ORDER BY k.api_key_id, k.name FOR NO KEY UPDATE OF k SKIP LOCKED
    -- The time for all limits, read after locking.
    ), instant AS MATERIALIZED (
      SELECT count(*), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros FROM rate
    -- The limits with their sub-windows advanced to that time.
    ), aged AS MATERIALIZED (
      SELECT rate.*, bucket, now_counts, (SELECT sum(n) FROM unnest(now_counts) AS n) AS used,
             (micros - bucket * (window_seconds * 1000000::float8 / ${SUB_WINDOWS})) / 1000000 AS elapsed
      FROM instant, rate,
        LATERAL (SELECT micros * ${SUB_WINDOWS} / (window_seconds * 1000000::bigint) AS present) AS p,
        -- If the clock went back, the window waits for it to catch up. After more than a window, it restarts.
        LATERAL (SELECT CASE WHEN newest - present BETWEEN 0 AND ${SUB_WINDOWS} THEN newest ELSE present END AS bucket) AS b,
        LATERAL (SELECT least(abs(bucket - newest), ${SUB_WINDOWS} + 1)::int AS gone) AS g,
        LATERAL (SELECT counts[gone + 1:] || array_fill(0, ARRAY[gone]) AS now_counts) AS c
    -- One line for each limit of a row, or one for a row without limits. A join back to the rows would be quadratic.
    ), line AS MATERIALIZED (
      SELECT id, position, amount, organization_id, balance, low_below, api_key_id, name, bucket, now_counts,
             json_build_object('name', name, 'limit', quota, 'windowSeconds', window_seconds,
                               'counts', now_counts, 'elapsed', elapsed) AS status,
             row_number() OVER (PARTITION BY id ORDER BY name) = 1 AS leads,
             count(*) OVER (PARTITION BY id) = limits AS held,
             amount <= min(quota - used) OVER (PARTITION BY id) AS fits
      FROM aged
      UNION ALL
      SELECT id, position, amount, organization_id, balance, low_below, NULL, NULL, NULL, NULL, NULL, true, true, true
      FROM chargeable WHERE api_key_id IS NULL
    -- The total that is charged to the balance up to each row, counting the rows that their limits let through.
    ), running_total AS MATERIALIZED (
      SELECT *, sum(amount) FILTER (WHERE leads AND held AND fits) OVER (PARTITION BY organization_id ORDER BY position)
                AS owed
      FROM line
    -- Whether each row is admitted.
    ), decided AS MATERIALIZED (
      SELECT *, held AND fits AND (organization_id IS NULL OR owed <= balance) AS admitted FROM running_total
    -- The new value of each balance, after all admitted rows.
    ), new_balance AS MATERIALIZED (
      SELECT organization_id, balance - max(owed) AS rest FROM decided
      WHERE admitted AND organization_id IS NOT NULL GROUP BY organization_id, balance
    -- Debits the balances.
    ), debit AS (
      UPDATE credit c SET balance = n.rest FROM new_balance n WHERE c.organization_id = n.organization_id
    -- Counts the admitted rows against the limits.
    ), counted AS (
      UPDATE api_key_rate k
      SET newest = d.bucket,
          counts = d.now_counts[:${SUB_WINDOWS}] || (d.now_counts[${SUB_WINDOWS} + 1] + d.amount)::int
      FROM decided d WHERE d.admitted AND k.api_key_id = d.api_key_id AND k.name = d.name
    -- Stores the events of the admitted rows.
    ), ins AS (
      INSERT INTO outbox (shard, id, version, body)
      SELECT shard, id, version, body FROM ok JOIN decided USING (id) WHERE leads AND admitted
    -- The result of each row, aggregated from its lines.
    ), outcome AS MATERIALIZED (
      SELECT id, organization_id, bool_and(held) AS held, bool_and(fits) AS fits, bool_and(admitted) AS admitted,
             json_agg(status ORDER BY name) FILTER (WHERE name IS NOT NULL) AS windows,
             min(balance) AS balance, min(low_below) AS low, min(owed) AS owed
      FROM decided GROUP BY id, organization_id
    )
    SELECT r.id::text, ok.id IS NOT NULL AS current, coalesce(ok.moved, false) AS moved, coalesce(held, false) AS held, fits, windows, admitted,
           (balance - owed)::float8 AS left, coalesce(rest, balance)::float8 AS rest, low::float8 AS low,
           ${DATABASE_TIME} AS database_time
    FROM r LEFT JOIN ok USING (id) LEFT JOIN outcome USING (id)
    LEFT JOIN new_balance ON new_balance.organization_id = outcome.organization_id`,
};

export interface AdmitResult {
  readonly admitted: string[];
  /** Whether a state has changed since a decision that still holds. */
  readonly moved: boolean;
  readonly database_time: number;
}

export interface ChargedResult {
  readonly id: string;
  /** Whether the decision still holds. */
  readonly current: boolean;
  /** Whether it still holds although the state has changed. */
  readonly moved: boolean;
  /** Whether this statement got the locks of the balance and the limits. If not, the fields below mean nothing. */
  readonly held: boolean;
  /** Whether the limits let the row through. */
  readonly fits: boolean;
  /** The limits of the key before this row. */
  readonly windows: readonly Window[] | null;
  readonly admitted: boolean;
  /** The balance after this row. */
  readonly left: number | null;
  /** The balance after the whole statement. */
  readonly rest: number | null;
  readonly low: number | null;
  readonly database_time: number;
}

/**
 * The parameters of {@link ADMIT}, with which those of the other statements begin.
 * @param source the URL of the deployment, for the events of uses
 */
export function storedValues(rows: readonly Row[], source: string): unknown[] {
  // One bytea value is sent in binary. An array of them would be sent as text, which is twice as long.
  const batches = rows.map(({ waiting }) => batchOf(waiting, source));
  let end = 0;
  const starts = batches.map(({ body: { length } }) => (end += length) - length + 1);
  // In memory of its own. A part of Node's pool would keep 64 kB of it until the next complete garbage collection.
  const bodies = Buffer.allocUnsafeSlow(end);
  for (const [n, { body }] of batches.entries()) bodies.set(body, starts[n]! - 1);
  return [
    rows.map(({ waiting }) => waiting[0]!.shard),
    rows.map(({ waiting }) => waiting[0]!.basis?.tag ?? null),
    rows.map(({ id }) => id),
    bodies,
    starts,
    batches.map(({ body }) => body.length),
    rows.map(({ waiting }) => waiting[0]!.callerBasis?.shard ?? null),
    rows.map(({ waiting }) => waiting[0]!.callerBasis?.tag ?? null),
    batches.map(({ version }) => version),
  ];
}

/**
 * What the other statements have next: by it they find out whether a decision still holds.
 * @param most the maximum number of ids for a row of many decisions; a row with more names none
 */
export function decisionValues(rows: readonly Row[], most: number): unknown[] {
  return [
    rows.map(({ waiting }) => waiting[0]!.basis?.seq ?? null),
    rows.map(({ waiting }) => arrayOf(restsOnOf(waiting, most, 'basis'))),
    rows.map(({ waiting }) => waiting[0]!.callerBasis?.seq ?? null),
    rows.map(({ waiting }) => arrayOf(restsOnOf(waiting, most, 'callerBasis'))),
  ];
}

/** The events of a row. Uses never share a row with other events, because only uses have a basis. */
function batchOf(waiting: readonly Waiting[], source: string): Batch {
  const uses = waiting.flatMap((event) => (event.basis ? [event.use] : []));
  return uses.length > 0
    ? batchOfUses(source, uses)
    : batchOfEntries(waiting.flatMap((event) => (event.basis ? [] : [event.entry])));
}

/** The ids on which the decisions of a row rest; undefined if there are more than `most`, or no decisions. */
function restsOnOf(
  waiting: readonly Waiting[],
  most: number,
  of: 'basis' | 'callerBasis',
): Iterable<string> | undefined {
  const all = new Set<string>();
  for (const one of waiting) {
    const basis = one[of];
    if (!basis) return undefined;
    for (const id of basis.restsOn) all.add(id);
    if (all.size > most && !one.separate) return undefined;
  }
  return all;
}

/** The text form of a `uuid[]`, which is one element of a `text[]` with an array for each row. */
function arrayOf(ids: Iterable<string> | undefined): string | null {
  return ids ? `{${[...ids].map(toUuid).join(',')}}` : null;
}
