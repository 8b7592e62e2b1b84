import { Inject, Injectable, Logger } from '@nestjs/common';
import type pg from 'pg';
import { fromUuid } from '#libs/contract/ids.js';
import { DATABASE_POOL, inTransaction } from '#libs/database/database.js';
import { Events } from '#libs/outbox/event.js';
import { recordOwnEvents } from '#libs/outbox/own-events.js';
import { errorText } from '#libs/platform/error-text.js';
import { BUNDLE_ENTRIES } from '#libs/tlog/entries.js';
import { BundleReader } from './bundle-reader.js';
import { leafHashOf } from './log-growth.js';
import type { Span } from './span.js';

/** A log of which entries have expired. */
interface Prunable {
  /** A bare UUID. */
  readonly id: string;
  readonly minimum: number;
  readonly expiredBelow: number;
}

/** Makes a log say what a replay of it needs in place of its first entries. */
export abstract class StateRecorder {
  /**
   * @param span from the minimum of the log to where it may be pruned
   * @returns the highest leaf index of the span, above its beginning, before which the log says its state in full; null if
   *   there is none. Then the recorder has put the events that say it into the outbox, and a later call finds them
   */
  abstract recordedBelow(organizationId: string, span: Span): Promise<number | null>;
}

/** Bundles that one transaction deletes. With management events alone, that is some 16,000 rows. */
const BUNDLES_PER_ERASURE = 64;
/** After this, a round leaves the rest to the next one. */
const ROUND_MS = 10 * 60_000;

/**
 * Prunes what has expired from the beginning of each log, in these steps, each of which a crash may end. Any number of
 * workers may do it at once:
 *
 * 1. The log says the state of the organization up to where it will be pruned. The next round goes on.
 * 2. The leaf hashes of bundles in which a signed tree ended are kept.
 * 3. The minimum of the log moves on, together with the event that says so. From then on, no reader shows the entries.
 * 4. Partitions of months without other entries are dropped, and the rest is deleted.
 *
 * The functions of the database decide what has expired (`libs/database/migrations/0001-initial/audit-retention.ts`).
 */
@Injectable()
export class AuditPruning {
  readonly #logger = new Logger(AuditPruning.name);

  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly events: Events,
    private readonly states: StateRecorder,
  ) {}

  /** @param stop ends the round after its present step; the next round goes on */
  async run(stop?: AbortSignal): Promise<void> {
    for (const log of await this.#prunable()) {
      if (stop?.aborted) return;
      try {
        await this.#prune(log);
      } catch (error) {
        // Another worker may have been faster, or a hold was placed. A damaged log keeps all it has.
        this.#logger.error(`The audit log of ${fromUuid('org', log.id)} was not pruned: ${errorText(error)}`);
      }
    }
    await this.#dropPartitions();
    await this.#erase(stop);
  }

  async #prunable(): Promise<Prunable[]> {
    const { rows } = await this.pool.query<Prunable>(
      `SELECT organization_id AS id, minimum_index::float8 AS minimum, expired_below::float8 AS "expiredBelow"
       FROM prunable_audit_logs()`,
    );
    return rows;
  }

  async #prune({ id, minimum, expiredBelow }: Prunable): Promise<void> {
    const organizationId = fromUuid('org', id);
    const below = await this.states.recordedBelow(organizationId, { from: minimum, below: expiredBelow });
    if (below === null) return;
    await this.#keepTiles(id, minimum, below);
    await inTransaction(this.pool, async (client) => {
      await client.query('SELECT prune_audit_log($1, $2)', [id, below]);
      const data = { from: minimum, below };
      await recordOwnEvents(client, this.events, organizationId, [
        { type: 'audit_log.pruned', subject: organizationId, data },
      ]);
    });
  }

  /** Keeps the leaf hashes that proofs of consistency with signed trees will need. */
  async #keepTiles(id: string, minimum: number, below: number): Promise<void> {
    const { rows } = await this.pool.query<{ index: number }>(
      `SELECT index::float8 AS index FROM
         (SELECT * FROM audit_signed_bundle UNION SELECT * FROM audit_anchored_bundle) AS needed
       WHERE organization_id = $1 AND index >= $2 AND index < $3 AND NOT EXISTS (
         SELECT FROM audit_kept_tile t WHERE t.organization_id = needed.organization_id AND t.index = needed.index
       ) ORDER BY needed.index`,
      [id, minimum / BUNDLE_ENTRIES, below / BUNDLE_ENTRIES],
    );
    const bundles = new BundleReader(this.pool);
    for (const { index } of rows) {
      const span = { from: index * BUNDLE_ENTRIES, below: (index + 1) * BUNDLE_ENTRIES };
      const hashes: Uint8Array[] = [];
      for await (const { leaves } of bundles.stretches(id, span, 'asc', { terms: [] })) {
        hashes.push(...leaves.map(({ entry }) => leafHashOf(entry)));
      }
      await this.pool.query('SELECT keep_audit_tile($1, $2, $3)', [id, index, Buffer.concat(hashes)]);
    }
  }

  async #dropPartitions(): Promise<void> {
    for (;;) {
      const { rows } = await this.pool.query<{ dropped: string | null }>(
        'SELECT drop_pruned_audit_partition() AS dropped',
      );
      const { dropped } = rows[0]!;
      if (dropped === null) return;
      this.#logger.log(`Dropped ${dropped}: every audit log was pruned beyond that month`);
    }
  }

  async #erase(stop?: AbortSignal): Promise<void> {
    const until = performance.now() + ROUND_MS;
    const { rows } = await this.pool.query<{ id: string }>(
      'SELECT organization_id AS id FROM audit_log WHERE erased_index < minimum_index ORDER BY 1',
    );
    for (const { id } of rows) {
      for (let isLeft = true; isLeft;) {
        if (performance.now() > until || stop?.aborted) return;
        const erased = await this.pool.query<{ left: boolean }>('SELECT erase_pruned_audit_entries($1, $2) AS left', [
          id,
          BUNDLES_PER_ERASURE,
        ]);
        isLeft = erased.rows[0]!.left;
      }
    }
  }
}
