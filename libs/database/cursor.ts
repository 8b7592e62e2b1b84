import type pg from 'pg';

const ROWS_PER_FETCH = 1_000;

/** Reads the rows of a statement, few at a time. Needs a transaction, in which only one statement is read at a time. */
export async function* cursor<Row extends pg.QueryResultRow>(
  client: Pick<pg.ClientBase, 'query'>,
  sql: string,
  values: readonly unknown[] = [],
  atOnce = ROWS_PER_FETCH,
): AsyncGenerator<Row> {
  await client.query(`DECLARE rows_read NO SCROLL CURSOR FOR ${sql}`, [...values]);
  try {
    for (;;) {
      const { rows } = await client.query<Row>(`FETCH ${atOnce} FROM rows_read`);
      yield* rows;
      if (rows.length < atOnce) return;
    }
  } finally {
    // If the transaction has failed, so does this, and the cursor has ended with it.
    await client.query('CLOSE rows_read').catch(() => undefined);
  }
}
