/** Authorization states, the outbox, and events that the worker could not ingest. */
export const EVENTS = /* sql */ `
  -- The authorization state of each shard. Every change of the shard draws a new tag.
  CREATE TABLE authz_state (
    shard smallint PRIMARY KEY,
    seq bigint NOT NULL,
    tag bigint NOT NULL
  ) WITH (fillfactor = 50);
  INSERT INTO authz_state SELECT shard, 0, ('x' || substr(md5(random()::text), 1, 16))::bit(64)::bigint
  FROM generate_series(0, 15) AS shard;

  CREATE TABLE authz_change (
    shard smallint NOT NULL,
    seq bigint NOT NULL,
    tag bigint NOT NULL,
    kind text NOT NULL,
    id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (shard, seq, id)
  );

  -- Events that are stored but not ingested yet. A row contains several packed entries.
  CREATE TABLE outbox (
    shard smallint NOT NULL,
    id uuid NOT NULL,
    body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (shard, id)
  );

  -- One row for each shard. The worker that locks it ingests the shard's events.
  CREATE TABLE ingest (shard smallint PRIMARY KEY);
  INSERT INTO ingest SELECT generate_series(0, 15);

  CREATE TABLE event_quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard smallint NOT NULL,
    batch_id uuid NOT NULL,
    entry bytea NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
  );
`;

/** The append-only audit log. */
export const AUDIT_LOG = /* sql */ `
  -- The size of each organization's audit log: the number of its entries.
  CREATE TABLE audit_log (
    organization_id uuid PRIMARY KEY REFERENCES organization,
    size bigint NOT NULL
  );

  CREATE TABLE audit_event (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    leaf_index bigint NOT NULL,
    leaf_hash bytea NOT NULL,
    -- The exact bytes, which jsonb would not preserve.
    entry bytea NOT NULL,
    type text NOT NULL,
    time timestamptz NOT NULL,
    api_key_id uuid,
    project_id uuid,
    actor_id text,
    -- Null if it is longer than a search allows.
    subject text,
    -- 'valid' for a use, the code of a denial, null for other events.
    outcome text,
    ip inet,
    path text,
    PRIMARY KEY (id)
  ) PARTITION BY RANGE (id);
  -- Every index slows down every event, so there is none for a search that others make fast enough: the index of types
  -- serves a search for an outcome, and the indexes of keys and types serve a search for an address or a path.
  CREATE INDEX audit_event_leaf ON audit_event (organization_id, leaf_index);
  -- Without uses, which are nearly all events: a search for uses finds them by reading the audit log.
  CREATE INDEX audit_event_type ON audit_event (organization_id, type, leaf_index) WHERE type <> 'api_key.used';
  CREATE INDEX audit_event_key ON audit_event (api_key_id, leaf_index) WHERE api_key_id IS NOT NULL;
  CREATE INDEX audit_event_project ON audit_event (project_id, leaf_index) WHERE project_id IS NOT NULL;
  -- "What did this user do?" A key's own uses are left out, because the index of keys finds them. So a use has no entry
  -- in this index and the next.
  CREATE INDEX audit_event_actor ON audit_event (organization_id, actor_id, leaf_index)
    WHERE api_key_id IS NULL OR actor_id <> subject;
  -- "What happened to this member, project, invitation?"
  CREATE INDEX audit_event_subject ON audit_event (organization_id, subject, leaf_index) WHERE api_key_id IS NULL;

  CREATE FUNCTION audit_event_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    RAISE EXCEPTION 'audit_event is append-only' USING ERRCODE = 'insufficient_privilege';
  END $$;
  CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_event
    FOR EACH ROW EXECUTE FUNCTION audit_event_is_append_only();
  CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION audit_event_is_append_only();
  ALTER TABLE audit_event ENABLE ALWAYS TRIGGER append_only;
  ALTER TABLE audit_event ENABLE ALWAYS TRIGGER no_truncate;

  -- The smallest UUIDv7 for an instant.
  CREATE FUNCTION uuid_at(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
  $$;

  -- Adds what a partition does not inherit: TRUNCATE triggers are not cloned, and cloned row triggers are not ALWAYS.
  CREATE FUNCTION protect_audit_partition(partition regclass) RETURNS void LANGUAGE plpgsql AS $$
  BEGIN
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION audit_event_is_append_only()', partition);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER no_truncate', partition);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only', partition);
  END $$;

  -- Creates a partition for each coming month. The worker calls it, and has the owner's rights only in this function.
  CREATE FUNCTION ensure_audit_partitions(months integer) RETURNS integer LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
  DECLARE
    first timestamptz;
    name text;
    made integer := 0;
  BEGIN
    FOR i IN 0..months LOOP
      first := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i)) AT TIME ZONE 'UTC';
      name := format('audit_event_%s', to_char(first AT TIME ZONE 'UTC', 'YYYY_MM'));
      CONTINUE WHEN to_regclass(name) IS NOT NULL;
      EXECUTE format('CREATE TABLE %I PARTITION OF audit_event FOR VALUES FROM (%L) TO (%L)', name, uuid_at(first),
                     uuid_at((first AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'));
      PERFORM protect_audit_partition(name::regclass);
      made := made + 1;
    END LOOP;
    RETURN made;
  END $$;
  REVOKE ALL ON FUNCTION ensure_audit_partitions, protect_audit_partition FROM PUBLIC;

  -- For ids that a wrong clock created. The worker's upkeep reports it if it is not empty.
  CREATE TABLE audit_event_default PARTITION OF audit_event DEFAULT;
  SELECT protect_audit_partition('audit_event_default');
  SELECT ensure_audit_partitions(3);
`;
