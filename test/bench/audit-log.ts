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

  /** Runs `run`, and requires that the audit log gains exactly as many uses as `run` reports as accepted. */
  async requireEach<T extends { readonly ok: number }>(run: () => Promise<T>): Promise<T & { drainedSeconds: number }> {
    await this.emptied();
    const count = await this.#countFromNow();
    const before = await count();
    const result = await run();
    const endedAt = performance.now();
    await this.emptied();
    const drainedSeconds = (performance.now() - endedAt) / 1000;
    requireEqual(result.ok, (await count()) - before);
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

  /** Counts only uses from about now on: counting the whole audit log would take longer with each run. */
  async #countFromNow(): Promise<() => Promise<number>> {
    const { rows } = await this.#sql.query<{ id: string }>("SELECT uuid_at(now() - interval '10 s') AS id");
    const { id } = rows[0]!;
    return async () => {
      const counted = await this.#sql.query<{ uses: number }>(
        "SELECT count(*)::int AS uses FROM audit_event WHERE id >= $1 AND type = 'api_key.used'",
        [id],
      );
      return counted.rows[0]!.uses;
    };
  }

  async #requireNothingSetAside(): Promise<void> {
    const { rows } = await this.#sql.query('SELECT FROM event_quarantine LIMIT 1');
    if (rows.length > 0) throw new Error('Events were put into the quarantine');
  }
}

function requireEqual(answered: number, recorded: number): void {
  if (answered === recorded) return;
  throw new Error(`${answered} requests were answered with yes and ${recorded} uses are in the audit log`);
}
