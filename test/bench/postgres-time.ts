import type pg from 'pg';
import { cpuSeconds, ownCpuSeconds } from './proc.ts';

/** The settings of a server whose time is measured. */
export const MEASURED_SERVER = {
  shared_preload_libraries: 'pg_stat_statements',
  'pg_stat_statements.track': 'top',
  'pg_stat_statements.track_utility': 'off',
  log_autovacuum_min_duration: '0',
};

type Row = Record<string, string | number>;

const LOOK_EACH_MS = 200;
/** Kinds that took less are left out. */
const SHOWN_MICROSECONDS = 0.05;

/** The CPU time of the sessions and background processes of PostgreSQL, by kind. */
export class SessionTimes {
  readonly #sql: pg.Client;
  readonly #server: number;
  readonly #before: number;
  /** By process: its kind, and its CPU time when it was first and last seen, in seconds. */
  readonly #seen = new Map<number, { readonly kind: string; readonly first: number; last: number }>();
  // If the run has failed, the connection is closed.
  readonly #timer = setInterval(() => void this.#look().catch(() => undefined), LOOK_EACH_MS).unref();

  private constructor(sql: pg.Client, server: number) {
    this.#sql = sql;
    this.#server = server;
    this.#before = cpuSeconds(server);
  }

  /** @param server the main process of PostgreSQL */
  static async begin(sql: pg.Client, server: number): Promise<SessionTimes> {
    const times = new SessionTimes(sql, server);
    await times.#look(true);
    return times;
  }

  /** @returns for each kind that took time, the microseconds for a use */
  async end(uses: number): Promise<Row[]> {
    clearInterval(this.#timer);
    await this.#look();
    const seconds = new Map<string, number>();
    for (const { kind, first, last } of this.#seen.values()) seconds.set(kind, (seconds.get(kind) ?? 0) + last - first);
    const seen = [...seconds.values()].reduce((sum, own) => sum + own, 0);
    seconds.set('not seen, such as short vacuums', cpuSeconds(this.#server) - this.#before - seen);
    return [...seconds]
      .map(([kind, own]) => ({ process: kind, 'µs for a use': (own / uses) * 1e6 }))
      .filter((row) => row['µs for a use'] >= SHOWN_MICROSECONDS)
      .toSorted((one, other) => other['µs for a use'] - one['µs for a use']);
  }

  async #look(isFirst = false): Promise<void> {
    const { rows } = await this.#sql.query<{ pid: number; kind: string }>(
      `SELECT pid, CASE backend_type WHEN 'client backend' THEN coalesce(nullif(application_name, ''), usename, '-')
                                     ELSE coalesce(backend_type, '-') END AS kind
       FROM pg_stat_activity WHERE pid <> pg_backend_pid()`,
    );
    for (const { pid, kind } of rows) {
      const seconds = ownCpuSeconds(pid);
      const known = this.#seen.get(pid);
      if (known) known.last = Math.max(known.last, seconds);
      else this.#seen.set(pid, { kind, first: isFirst ? seconds : 0, last: seconds });
    }
  }
}

/** What autovacuum did, by table, from the log of a server with {@link MEASURED_SERVER}. */
export function autovacuums(log: string, uses: number): Row[] {
  const pattern =
    /automatic (vacuum|analyze) of table "\w+\.\w+\.(\w+)"(?:(?!automatic )[^])*?CPU: user: ([\d.]+) s, system: ([\d.]+) s/g;
  const byTable = new Map<string, { runs: number; seconds: number }>();
  for (const [, kind, table, user, system] of log.matchAll(pattern)) {
    const known = byTable.get(`${kind} ${table}`) ?? { runs: 0, seconds: 0 };
    byTable.set(`${kind} ${table}`, { runs: known.runs + 1, seconds: known.seconds + Number(user) + Number(system) });
  }
  return [...byTable]
    .toSorted(([, one], [, other]) => other.seconds - one.seconds)
    .map(([what, { runs, seconds }]) => ({ what, runs, 'µs for a use': (seconds / uses) * 1e6 }));
}

export async function forgetStatements(sql: pg.Client): Promise<void> {
  await sql.query('CREATE EXTENSION IF NOT EXISTS pg_stat_statements');
  await sql.query('SELECT pg_stat_statements_reset()');
}

/** The statements that took most time since {@link forgetStatements}. Their time includes waiting for the disk. */
export async function statements(sql: pg.Client, uses: number): Promise<Row[]> {
  const { rows } = await sql.query<Row>(
    `SELECT left(regexp_replace(regexp_replace(query, '--[^\n]*', '', 'g'), '\\s+', ' ', 'g'), 60) AS statement,
            calls::float8, rows::float8 AS rows, mean_exec_time AS "ms each",
            total_exec_time * 1000 / $1 AS "µs for a use", wal_bytes::float8 / $1 AS "bytes of log for a use"
     FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat%' ORDER BY total_exec_time DESC LIMIT 8`,
    [uses],
  );
  return rows;
}
