import type pg from 'pg';

/**
 * The schema of our tables as readable SQL, always in the same order: columns, constraints, indexes, triggers, rights,
 * functions. Leaves out BullMQ's tables and the audit log's monthly partitions.
 */
export async function schemaText(client: pg.ClientBase): Promise<string> {
  const parts: string[] = [];
  for (const { sql } of (await client.query<{ sql: string }>(TABLES)).rows) parts.push(sql);
  for (const { sql } of (await client.query<{ sql: string }>(FUNCTIONS)).rows) parts.push(sql);
  return `${parts.join('\n\n').replaceAll(/[ \t]+$/gm, '')}\n`;
}

/** The rights of the serving roles, as `GRANT a, b ON what TO role`. */
const grants = (acl: string, on: string) => `
  SELECT format(E'GRANT %s ON %s TO %s;', string_agg(privilege_type, ', ' ORDER BY privilege_type), ${on}, grantee::regrole) AS line
  FROM aclexplode(${acl}) WHERE grantee::regrole::text ~ '^keyledger_(api|worker|queue)$' GROUP BY grantee`;

const TABLES = `
  SELECT concat_ws(E'\\n',
    format(E'CREATE TABLE %s (\\n%s\\n)%s%s;', c.relname, (
      SELECT string_agg('  ' || line, E',\\n' ORDER BY place, line) FROM (
        SELECT a.attnum::int AS place, concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
          CASE WHEN a.attcollation <> t.typcollation THEN 'COLLATE ' || quote_ident(l.collname) END,
          CASE WHEN a.attnotnull THEN 'NOT NULL' END,
          CASE WHEN a.attidentity = 'a' THEN 'GENERATED ALWAYS AS IDENTITY' END,
          CASE WHEN d.adbin IS NOT NULL THEN format(
            CASE WHEN a.attgenerated = 's' THEN 'GENERATED ALWAYS AS (%s) STORED' ELSE 'DEFAULT %s' END,
            pg_get_expr(d.adbin, d.adrelid)) END) AS line
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_collation l ON l.oid = a.attcollation
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT 10000, format('CONSTRAINT %s %s', conname, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE conrelid = c.oid AND contype <> 'n'
      ) AS lines), CASE WHEN c.relkind = 'p' THEN ' PARTITION BY ' || pg_get_partkeydef(c.oid) END,
      ' WITH (' || array_to_string(c.reloptions, ', ') || ')'),
    (SELECT string_agg(pg_get_indexdef(i.indexrelid) || ';', E'\\n' ORDER BY i.indexrelid::regclass::text) FROM pg_index i
      WHERE i.indrelid = c.oid AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u'))),
    (SELECT string_agg(pg_get_triggerdef(g.oid) || ';' || CASE g.tgenabled
        WHEN 'A' THEN format(E'\\nALTER TABLE %s ENABLE ALWAYS TRIGGER %s;', c.relname, g.tgname) ELSE '' END, E'\\n' ORDER BY g.tgname)
      FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal),
    (SELECT string_agg(line, E'\\n' ORDER BY line) FROM (${grants('c.relacl', 'c.relname')}) AS g),
    (SELECT string_agg(line, E'\\n' ORDER BY line) FROM pg_attribute a,
      LATERAL (SELECT format('GRANT %s (%s) ON %s TO %s;', privilege_type, a.attname, c.relname, grantee::regrole) AS line
               FROM aclexplode(a.attacl)) AS g WHERE a.attrelid = c.oid)
  ) AS sql
  FROM pg_class c
  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> 'migration'
    AND c.relname !~ '^audit_body_\\d' ORDER BY c.relname`;

const FUNCTIONS = `
  SELECT concat_ws(E'\\n', rtrim(pg_get_functiondef(p.oid), E'\\n') || ';',
    CASE WHEN NOT has_function_privilege('public', p.oid, 'EXECUTE') THEN format('REVOKE ALL ON FUNCTION %s FROM PUBLIC;', p.proname) END,
    (SELECT string_agg(line, E'\\n' ORDER BY line) FROM (${grants('p.proacl', "'FUNCTION ' || p.proname")}) AS g)) AS sql
  FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace ORDER BY p.proname`;
