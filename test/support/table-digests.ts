import type pg from 'pg';

/** A digest of the rows of each table, or partition, with a name that matches a regular expression of PostgreSQL. */
export async function tableDigests(sql: pg.Pool, names: string): Promise<Record<string, string | null>> {
  const { rows } = await sql.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname ~ $1
     ORDER BY 1`,
    [names],
  );
  const digests: Record<string, string | null> = {};
  for (const { name } of rows) {
    const { rows: digest } = await sql.query<{ digest: string | null }>(
      `SELECT md5(string_agg(hash, '' ORDER BY hash)) AS digest FROM (SELECT md5(t::text) AS hash FROM ${name} t) AS hashes`,
    );
    digests[name] = digest[0]!.digest;
  }
  return digests;
}
