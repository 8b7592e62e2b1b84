import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';

const INGESTED_WITHIN_MS = 300_000;
const LOOK_EACH_MS = 50;

/** Checks that responses were recorded: a measurement of unrecorded uses would be worthless. */
export class AuditLog {
  readonly #sql: pg.Client;

  constructor(sql: pg.Client) {
    this.#sql = sql;
  }

  /**
   * Runs `run`, and requires that the audit log gains exactly as many uses as `run` reports as accepted. Requests that its
   * end cut off may be among them.
   */
  async requireEach<T extends { readonly ok: number; readonly cutOff?: number }>(
    run: () => Promise<T>,
  ): Promise<T & { drainedSeconds: number }> {
    await this.emptied();
    const before = await this.#countUses();
    const result = await run();
    const endedAt = performance.now();
    await this.emptied();
    const drainedSeconds = (performance.now() - endedAt) / 1000;
    requireAll(result.ok, result.cutOff ?? 0, (await this.#countUses()) - before);
    await this.#requireNothingSetAside();
    return { ...result, drainedSeconds };
  }

  /** Waits until the outbox is empty. */
  async emptied(): Promise<void> {
    const deadline = performance.now() + INGESTED_WITHIN_MS;
    while (performance.now() < deadline) {
      const { rows } = await this.#sql.query('SELECT FROM outbox LIMIT 1');
      if (rows.length === 0) return;
      await sleep(LOOK_EACH_MS);
    }
    throw new Error(`The outbox is not empty after ${INGESTED_WITHIN_MS / 1000} s`);
  }

  /**
   * Counts the entries without rows of their own, which are uses and denials: a measured request is never denied. The
   * worker cannot change a size without storing the entries.
   */
  async #countUses(): Promise<number> {
    const { rows } = await this.#sql.query<{ uses: number }>(
      `SELECT (coalesce(sum(size), 0) - (SELECT count(*) FROM audit_management_event))::float8 AS uses FROM audit_log`,
    );
    return rows[0]!.uses;
  }

  async #requireNothingSetAside(): Promise<void> {
    const { rows } = await this.#sql.query('SELECT FROM event_quarantine LIMIT 1');
    if (rows.length > 0) throw new Error('Events were put into the quarantine');
  }
}

function requireAll(accepted: number, cutOff: number, recorded: number): void {
  if (recorded >= accepted && recorded <= accepted + cutOff) return;
  throw new Error(`${accepted} requests were accepted, ${cutOff} cut off, and ${recorded} uses are in the audit log`);
}
