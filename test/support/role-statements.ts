import pg from 'pg';

export type Statement = readonly [sql: string, ...values: unknown[]];

/** Runs statements in a transaction of this login, and rolls it back. @returns `done`, or the message of the error */
export async function outcomeOfAll(url: string, statements: readonly Statement[]): Promise<string> {
  return asLogin(url, (client) => outcomeIn(client, statements));
}

export function outcomeOf(url: string, sql: string, values: readonly unknown[] = []): Promise<string> {
  return outcomeOfAll(url, [[sql, ...values]]);
}

/** Runs each statement in a transaction of its own. */
export function outcomesOf(url: string, statements: readonly string[]): Promise<string[]> {
  return asLogin(url, async (client) => {
    const outcomes: string[] = [];
    for (const sql of statements) outcomes.push(await outcomeIn(client, [[sql]]));
    return outcomes;
  });
}

async function asLogin<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function outcomeIn(client: pg.Client, statements: readonly Statement[]): Promise<string> {
  try {
    await client.query('BEGIN');
    for (const [sql, ...values] of statements) await client.query(sql, values);
    return 'done';
  } catch (error) {
    return (error as Error).message;
  } finally {
    await client.query('ROLLBACK');
  }
}
