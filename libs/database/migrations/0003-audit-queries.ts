import { Migration } from '@mikro-orm/migrations';

/** The columns that the audit log is searched by, of the events to come and of those that are there. */
export class AuditQueries extends Migration {
  override up(): void {
    this.addSql(COLUMNS);
    this.addSql(BACKFILL);
    this.addSql(INDEXES);
  }
}

const COLUMNS = /* sql */ `
  ALTER TABLE audit_event
    ADD COLUMN actor_id text,
    -- Null where it is longer than anybody can ask for.
    ADD COLUMN subject text,
    -- 'valid' for a use, its code for a rejection, null for all else.
    ADD COLUMN outcome text,
    ADD COLUMN ip inet,
    ADD COLUMN path text;
`;

/**
 * From the entries, as the writer does it from now on. The triggers are off for this transaction alone: should it fail,
 * they were never off.
 */
const BACKFILL = /* sql */ `
  -- JSON that jsonb refuses (NUL, half of a surrogate pair) is read with U+FFFD in its place, as the writer stores it.
  CREATE FUNCTION migrated_event(entry bytea) RETURNS jsonb LANGUAGE plpgsql AS $$
  BEGIN
    RETURN convert_from(entry, 'UTF8')::jsonb;
  EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    BEGIN
      RETURN regexp_replace(
        convert_from(entry, 'UTF8'),
        '(?<!\\\\)((?:\\\\\\\\)*)(?:\\\\u0000|\\\\ud[89ab][0-9a-f]{2}(?!\\\\ud[c-f][0-9a-f]{2})|(?<!\\\\ud[89ab][0-9a-f]{2})\\\\ud[c-f][0-9a-f]{2})',
        '\\1\\\\ufffd', 'gi')::jsonb;
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN RETURN NULL;
    END;
  END $$;

  CREATE FUNCTION migrated_address(text) RETURNS inet LANGUAGE plpgsql AS $$
  BEGIN
    RETURN regexp_replace($1, '^::ffff:(?=\\d+\\.)', '', 'i')::inet;
  EXCEPTION WHEN data_exception THEN RETURN NULL;
  END $$;

  CREATE FUNCTION migrated_text(event jsonb, path jsonpath) RETURNS text LANGUAGE sql AS $$
    SELECT jsonb_path_query_first(event, path) #>> '{}' WHERE jsonb_typeof(jsonb_path_query_first(event, path)) = 'string'
  $$;

  DO $$
  DECLARE
    partition regclass;
  BEGIN
    FOR partition IN SELECT relid FROM pg_partition_tree('audit_event') ORDER BY level LOOP
      EXECUTE format('ALTER TABLE %s DISABLE TRIGGER append_only', partition);
    END LOOP;

    UPDATE audit_event SET (actor_id, subject, outcome, ip, path) = (
      SELECT CASE WHEN char_length(actor) <= 200 THEN actor END,
             CASE WHEN char_length(about) <= 200 THEN about END,
             CASE WHEN type = 'api_key.used' THEN 'valid'
                  WHEN type = 'api_key.denied' AND char_length(code) <= 200 THEN code END,
             migrated_address(address),
             endpoint
      FROM (SELECT migrated_event(entry) AS event OFFSET 0) AS e,
           LATERAL (SELECT migrated_text(event, '$.data.actor.id') AS actor,
                           migrated_text(event, '$.subject') AS about,
                           migrated_text(event, '$.data.code') AS code,
                           migrated_text(event, '$.data.ip') AS address,
                           migrated_text(event, '$.data.path') AS endpoint OFFSET 0) AS f
    );

    FOR partition IN SELECT relid FROM pg_partition_tree('audit_event') ORDER BY level LOOP
      EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only', partition);
    END LOOP;
  END $$;

  DROP FUNCTION migrated_event, migrated_address, migrated_text;
`;

/**
 * Each entry of an index is paid for by every event, so there are none for what the others make quick enough: an outcome is
 * found among the rejections by the index of the types, an address or a path among the events of a key, a type or a time.
 */
const INDEXES = /* sql */ `
  -- "What did this person do?", a needle among the uses of keys. A key's own uses are found by the key, and left out here
  -- and below, so that the events that come by the thousand a second pay for neither.
  CREATE INDEX audit_event_actor ON audit_event (organization_id, actor_id, leaf_index)
    WHERE api_key_id IS NULL OR actor_id <> subject;
  -- "What happened to this member, project, invitation?"
  CREATE INDEX audit_event_subject ON audit_event (organization_id, subject, leaf_index) WHERE api_key_id IS NULL;
`;
