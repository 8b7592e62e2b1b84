import { toUuid } from '#libs/contract/ids.js';
import { packEntries } from '#libs/outbox/packed-entries.js';
import { CHANGED_KINDS } from './authorization-states.js';
import type { Row, Waiting } from './conditional-event.js';
import { SUB_WINDOWS, type Window } from './rate-limit-window.js';

/** What a row of many decisions says of what they rest on. Beyond it any change of the shard makes the row stale. */
export const MAX_RESTS_ON = 32;
/** Of a decision that is older than so many changes, it is not asked which of them concern it. */
const MAX_CHANGES_SINCE = 1_000;

/**
 * SQL: whether a decision still holds, because no later change concerns an id that it rests on. It holds only where
 * `authz_change` has every change from the decision's state to the present one, both included. A change of a kind that this
 * version does not know concerns every decision.
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
 * The rows whose decisions still hold. Promises 1 and 2 rest on it: a "yes" is a durable append to the outbox, and the append
 * succeeds only where the decision holds. A request that begins after a change has returned runs this statement on a snapshot
 * that contains the change. The tags differ, a recorded change concerns the decision, and the API decides again. Changes of
 * others in the same shard cost no second attempt.
 *
 * It takes no locks: a change that commits while the statement runs is concurrent with the request.
 */
const CURRENT = `
  SELECT r.*, r.tag IS NOT NULL AND a.tag <> r.tag AS moved FROM r
  JOIN authz_state a ON a.shard = r.shard
  LEFT JOIN authz_state c ON c.shard = r.caller_shard
  WHERE ${stillHolds('a', '')} AND ${stillHolds('c', 'caller_')}`;
export const ADMIT = {
  name: 'admit',
  text: `
    -- The rows that ask to be stored.
    WITH r AS MATERIALIZED (
      SELECT shard, tag, id, substring($4::bytea FROM start FOR length) AS body, caller_shard, caller_tag,
             seq, rests_on::uuid[] AS rests_on, caller_seq, caller_rests_on::uuid[] AS caller_rests_on
      FROM unnest($1::smallint[], $2::bigint[], $3::uuid[], $5::int[], $6::int[], $7::smallint[], $8::bigint[],
                  $9::bigint[], $10::text[], $11::bigint[], $12::text[])
        AS t (shard, tag, id, start, length, caller_shard, caller_tag, seq, rests_on, caller_seq, caller_rests_on)
    -- Those whose decisions still hold.
    ), ok AS MATERIALIZED (${CURRENT}),
    -- Stores them.
    ins AS (
      INSERT INTO outbox (shard, id, body) SELECT shard, id, body FROM ok RETURNING id
    )
    SELECT array(SELECT id FROM ins)::text[] AS admitted, EXISTS (SELECT FROM ok WHERE moved) AS moved,
           extract(epoch FROM statement_timestamp())::float8 * 1000 AS database_time`,
};

/**
 * Also charges each row: it stores the event, debits the balance and counts against the limits of the key, or does none of
 * these. The statement does not wait for rows that another transaction has locked, because its snapshot would grow old; it
 * reports them (`held` is false) and the caller tries again. Balances are locked before limits, so that a row without its
 * balance keeps no limits from others.
 *
 * Balances and counts are those of the locked rows, not of the snapshot. The time is read after the locks, so that for each
 * limit times and admissions have the same order. This makes the limit exact.
 */
export const ADMIT_CHARGED = {
  name: 'admit-charged',
  text: `
    -- The rows that ask to be stored, in the order in which their requests came.
    WITH r AS MATERIALIZED (
      SELECT shard, tag, id, substring($4::bytea FROM start FOR length) AS body, caller_shard, caller_tag,
             seq, rests_on::uuid[] AS rests_on, caller_seq, caller_rests_on::uuid[] AS caller_rests_on,
             amount, organization_id, api_key_id, limits, position
      FROM unnest($1::smallint[], $2::bigint[], $3::uuid[], $5::int[], $6::int[], $7::smallint[], $8::bigint[],
                  $9::bigint[], $10::text[], $11::bigint[], $12::text[],
                  $13::bigint[], $14::uuid[], $15::uuid[], $16::int[]) WITH ORDINALITY
        AS t (shard, tag, id, start, length, caller_shard, caller_tag, seq, rests_on, caller_seq, caller_rests_on,
              amount, organization_id, api_key_id, limits, position)
    -- Those whose decisions still hold.
    ), ok AS MATERIALIZED (${CURRENT}),
    -- The balances they are charged to, locked. Balances that another transaction has locked are left out.
    balance_row AS MATERIALIZED (
      SELECT c.organization_id, c.balance, c.low_below FROM credit c
      WHERE c.organization_id IN (SELECT organization_id FROM ok)
      ORDER BY c.organization_id FOR NO KEY UPDATE OF c SKIP LOCKED
    -- Rows whose balance is locked here, and rows that need none. (Whether it covers them is decided below.)
    ), solvent AS MATERIALIZED (
      SELECT id, position, amount, api_key_id, limits, organization_id, balance, low_below
      FROM ok LEFT JOIN balance_row USING (organization_id) WHERE organization_id IS NULL OR balance IS NOT NULL
    -- The limits of their keys, locked, again without those that another transaction has locked.
    ), rate AS MATERIALIZED (
      SELECT s.*, k.name, k.quota, k.window_seconds, k.newest, k.counts
      FROM solvent s JOIN api_key_rate k ON k.api_key_id = s.api_key_id
      ORDER BY k.api_key_id, k.name FOR NO KEY UPDATE OF k SKIP LOCKED
    -- The time that counts for all limits: read after the locks, so that instants and admissions have one order.
    ), instant AS MATERIALIZED (
      SELECT count(*), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros FROM rate
    -- Each limit with its sub-windows moved on to that time.
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
      -- One line for each limit of a row, or one for a row without limits. A join back to the rows would be quadratic.
      SELECT id, position, amount, organization_id, balance, low_below, api_key_id, name, bucket, now_counts,
             json_build_object('name', name, 'limit', quota, 'windowSeconds', window_seconds,
                               'counts', now_counts, 'elapsed', elapsed) AS status,
             row_number() OVER (PARTITION BY id ORDER BY name) = 1 AS leads,
             count(*) OVER (PARTITION BY id) = limits AS held,
             amount <= min(quota - used) OVER (PARTITION BY id) AS fits
      FROM aged
      UNION ALL
      SELECT id, position, amount, organization_id, balance, low_below, NULL, NULL, NULL, NULL, NULL, true, true, true
      FROM solvent WHERE api_key_id IS NULL
    -- What rows up to this one owe their balance together, of those that their limits let through.
    ), owing AS MATERIALIZED (
      SELECT *, sum(amount) FILTER (WHERE leads AND held AND fits) OVER (PARTITION BY organization_id ORDER BY position)
                AS owed
      FROM line
    -- Whether each row is admitted.
    ), decided AS MATERIALIZED (
      SELECT *, held AND fits AND (organization_id IS NULL OR owed <= balance) AS admitted FROM owing
    -- What each balance has left after all admitted rows.
    ), bill AS MATERIALIZED (
      SELECT organization_id, balance - max(owed) AS rest FROM decided
      WHERE admitted AND organization_id IS NOT NULL GROUP BY organization_id, balance
    -- Debits the balances.
    ), paid AS (
      UPDATE credit c SET balance = bill.rest FROM bill WHERE c.organization_id = bill.organization_id
    -- Counts the admitted rows against the limits.
    ), taken AS (
      UPDATE api_key_rate k
      SET newest = d.bucket,
          counts = d.now_counts[:${SUB_WINDOWS}] || (d.now_counts[${SUB_WINDOWS} + 1] + d.amount)::int
      FROM decided d WHERE d.admitted AND k.api_key_id = d.api_key_id AND k.name = d.name
    -- Stores the events of the admitted rows.
    ), ins AS (
      INSERT INTO outbox (shard, id, body)
      SELECT shard, id, body FROM ok JOIN decided USING (id) WHERE leads AND admitted
    -- The result of each row: its lines folded into one.
    ), told AS MATERIALIZED (
      SELECT id, organization_id, bool_and(held) AS held, bool_and(fits) AS fits, bool_and(admitted) AS admitted,
             json_agg(status ORDER BY name) FILTER (WHERE name IS NOT NULL) AS windows,
             min(balance) AS balance, min(low_below) AS low, min(owed) AS owed
      FROM decided GROUP BY id, organization_id
    )
    SELECT r.id::text, ok.id IS NOT NULL AS current, coalesce(ok.moved, false) AS moved, coalesce(held, false) AS held, fits, windows, admitted,
           (balance - owed)::float8 AS left, coalesce(rest, balance)::float8 AS rest, low::float8 AS low,
           extract(epoch FROM statement_timestamp())::float8 * 1000 AS database_time
    FROM r LEFT JOIN ok USING (id) LEFT JOIN told USING (id)
    LEFT JOIN bill ON bill.organization_id = told.organization_id`,
};

export interface AdmitResult {
  readonly admitted: string[];
  /** Whether a state has moved since decisions that still hold were made. */
  readonly moved: boolean;
  readonly database_time: number;
}

export interface ChargedResult {
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
 * The columns that both statements have.
 * @param most ids that a row of many decisions may rest on, beyond which it does not say on which
 */
export function admissionValues(rows: readonly Row[], most: number): unknown[] {
  const bases = rows.map(({ waiting }) => waiting[0]!.basis);
  const callers = rows.map(({ waiting }) => waiting[0]!.callerBasis);
  // One value of bytes goes over the wire as it is; an array of them would become text, twice as long.
  const bundles = rows.map(({ waiting }) => packEntries(waiting.map(({ entry }) => entry)));
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
