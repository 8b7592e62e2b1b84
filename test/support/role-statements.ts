import pg from 'pg';

export type Statement = readonly [sql: string, ...values: unknown[]];

/** Runs statements in a transaction of this login, and rolls it back. @returns `done`, or the message of the error */
export async function outcomeOfAll(url: string, statements: readonly Statement[]): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('BEGIN');
    for (const [sql, ...values] of statements) await client.query(sql, values);
    return 'done';
  } catch (error) {
    return (error as Error).message;
  } finally {
    await client.query('ROLLBACK');
    await client.end();
  }
}

export function outcomeOf(url: string, sql: string, values: readonly unknown[] = []): Promise<string> {
  return outcomeOfAll(url, [[sql, ...values]]);
}
