import pg from 'pg';
import { IMPATIENT, sessionOptions } from '#libs/database/database.js';
import { traced } from '#libs/platform/tracing.js';
import { admissionMetrics } from './admission-metrics.js';

const STATEMENT_TIMEOUT_MS = 1_000;
const RETRIES = 3;
/** Deadlock, lock timeout, statement timeout: the server confirms that it rolled back, so a retry is safe. */
const ROLLED_BACK = new Set(['40P01', '55P03', '57014']);

interface Sent<R> {
  readonly rows: readonly R[];
  /** `performance.now()`. */
  readonly sentAt: number;
}

/** A connection for admission: durable commits, short timeouts, and no retry of a statement that could count twice. */
export class AdmissionConnection {
  readonly #databaseUrl: string;
  #client: pg.Client | undefined;

  constructor(databaseUrl: string) {
    this.#databaseUrl = databaseUrl;
  }

  /** @returns also when the statement was sent: after the connection opened, and after attempts that failed */
  async query<R extends pg.QueryResultRow>(
    statement: { readonly name: string; readonly text: string },
    values: unknown[],
  ): Promise<Sent<R>> {
    for (let attempt = 1; ; attempt++) {
      try {
        const began = performance.now();
        const sent = await traced(statement.name, () => this.#queryOnce<R>(statement, values));
        admissionMetrics.statementSeconds.observe({ statement: statement.name }, (performance.now() - began) / 1000);
        return sent;
      } catch (error) {
        const code = error instanceof pg.DatabaseError ? error.code : undefined;
        if (attempt === RETRIES || !code || !ROLLED_BACK.has(code)) throw error;
      }
    }
  }

  async end(): Promise<void> {
    await this.#client?.end().catch(() => undefined);
  }

  async #queryOnce<R extends pg.QueryResultRow>(
    statement: { name: string; text: string },
    values: unknown[],
  ): Promise<Sent<R>> {
    const client = (this.#client ??= await this.#connect());
    try {
      const sentAt = performance.now();
      // A client-side timeout too, because `statement_timeout` does not end a wait for a standby.
      const { rows } = await client.query<R>({ ...statement, values, ...IMPATIENT });
      return { rows, sentAt };
    } catch (error) {
      // Without an error from the server, it is unknown whether the append happened. Close the connection, so that a
      // late response is not taken for another statement's. Do not retry: that could record a use twice.
      if (!(error instanceof pg.DatabaseError)) this.#drop(client);
      throw error;
    }
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.#databaseUrl,
      application_name: 'keyledger admission',
      connectionTimeoutMillis: IMPATIENT.query_timeout,
      keepAlive: true,
      options: sessionOptions('keyledger_api', {
        lock_timeout: '250ms',
        statement_timeout: `${STATEMENT_TIMEOUT_MS}ms`,
        synchronous_commit: 'on',
      }),
    });
    client.on('error', () => this.#drop(client));
    await client.connect();
    return client;
  }

  #drop(client: pg.Client): void {
    if (this.#client === client) this.#client = undefined;
    client.connection.stream.destroy();
  }
}
