import type pg from 'pg';

/** Bytes on disk of one table, with its partitions. */
export interface TableBytes {
  readonly table: string;
  readonly rows: number;
  readonly toast: number;
  readonly indexes: number;
}

/** Tables whose rows do not last: the outbox, the queue's, and that of the benchmark itself. */
const TRANSIENT = ['outbox', 'bench_commit'];

/** Vacuums the database, and returns the bytes of each lasting table of the product. */
export async function vacuumedBytes(sql: pg.Client): Promise<TableBytes[]> {
  await sql.query('VACUUM ANALYZE');
  const { rows } = await sql.query<TableBytes>(
    `SELECT coalesce(pg_partition_root(oid), oid)::regclass::text AS table,
            sum(pg_table_size(oid) - toast)::float8 AS rows, sum(toast)::float8 AS toast,
            sum(pg_indexes_size(oid))::float8 AS indexes
     FROM (SELECT oid, CASE WHEN reltoastrelid > 0 THEN pg_total_relation_size(reltoastrelid) ELSE 0 END AS toast
           FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> ALL ($1)) AS t
     GROUP BY 1`,
    [TRANSIENT],
  );
  return rows;
}

/** How much each table grew, largest first. Tables that did not grow are left out. */
export function growth(before: readonly TableBytes[], after: readonly TableBytes[]): TableBytes[] {
  const known = new Map(before.map((bytes) => [bytes.table, bytes]));
  return after
    .map(({ table, rows, toast, indexes }) => {
      const own = known.get(table);
      return {
        table,
        rows: rows - (own?.rows ?? 0),
        toast: toast - (own?.toast ?? 0),
        indexes: indexes - (own?.indexes ?? 0),
      };
    })
    .filter((bytes) => bytesOf(bytes) > 0)
    .toSorted((one, other) => bytesOf(other) - bytesOf(one));
}

export function bytesOf({ rows, toast, indexes }: TableBytes): number {
  return rows + toast + indexes;
}
