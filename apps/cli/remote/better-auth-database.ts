import pg from 'pg';
import { errorText } from '#libs/platform/error-text.js';
import { EXIT_UNAVAILABLE } from '../exit-codes.js';
import { Failure } from './failure.js';

/** How many rows are in memory at once. */
const FETCHED = 1_000;

/**
 * Reads the table of keys as it is at one time, in a transaction that cannot write.
 * @throws Failure if the database or the table cannot be read
 */
export async function* readKeys(databaseUrl: string, table: string): AsyncGenerator<object> {
  const client = connectionTo(databaseUrl);
  // Without a listener, a lost connection would end the process. The next query fails.
  client.on('error', () => undefined);
  const query = (text: string) =>
    client.query<{ key: object }>(text).catch((error: unknown) => {
      throw unreadable(error);
    });
  try {
    await client.connect().catch((error: unknown) => {
      throw unreadable(error);
    });
    await query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await query("SET LOCAL TIME ZONE 'UTC'");
    await query(
      `DECLARE keys NO SCROLL CURSOR FOR SELECT to_jsonb(k) AS key FROM ${pg.escapeIdentifier(table)} AS k ORDER BY id`,
    );
    for (;;) {
      const { rows } = await query(`FETCH ${FETCHED} FROM keys`);
      if (rows.length === 0) return;
      for (const { key } of rows) yield key;
    }
  } finally {
    await client.end().catch(() => undefined);
  }
}

function connectionTo(databaseUrl: string): pg.Client {
  try {
    return new pg.Client({ connectionString: databaseUrl, application_name: 'keyledger keys import' });
  } catch (error) {
    throw unreadable(error);
  }
}

function unreadable(error: unknown): Failure {
  return new Failure(
    `The keys cannot be read from the database (${errorText(error)}): check --database and --table.`,
    EXIT_UNAVAILABLE,
  );
}
