/** The tables of the audit log, in which 256 entries are stored together. `libs/audit` explains how they are used. */
export const AUDIT_LOG = /* sql */ `
  -- The time by which bundles are sealed and expire. Tests of a whole year replace it.
  CREATE FUNCTION audit_time() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT now()';

  -- The head of each organization's audit log.
  CREATE TABLE audit_log (
    organization_id uuid PRIMARY KEY REFERENCES organization,
    -- The number of entries.
    size bigint NOT NULL,
    -- The hashes of the complete subtrees, largest first, 32 bytes each.
    frontier bytea NOT NULL DEFAULT '',
    -- The size before the last transaction that appended entries.
    grown_from bigint NOT NULL DEFAULT 0,
    -- The number of rows in audit_segment.
    segments smallint NOT NULL DEFAULT 0,
    -- The latest time of an entry in a bundle, and the most by which a later bundle has an earlier time. Searches by
    -- time skip bundles by these.
    latest timestamptz,
    lateness_ms bigint NOT NULL DEFAULT 0,
    -- Entries below it were pruned. Readers begin here.
    minimum_index bigint NOT NULL DEFAULT 0,
    -- Below it, what was pruned is also deleted.
    erased_index bigint NOT NULL DEFAULT 0,
    pruned_at timestamptz,
    CHECK (minimum_index BETWEEN 0 AND size AND minimum_index % 256 = 0),
    CHECK (erased_index BETWEEN 0 AND minimum_index AND erased_index % 256 = 0)
  ) WITH (fillfactor = 50);

  -- The entries after the last full bundle.
  CREATE TABLE audit_segment (
    organization_id uuid NOT NULL,
    -- The leaf index of the first entry.
    first bigint NOT NULL,
    count smallint NOT NULL,
    oldest timestamptz NOT NULL,
    newest timestamptz NOT NULL,
    -- Search terms, those of each attribute together, and how many each attribute has.
    terms integer[] NOT NULL,
    terms_of smallint[] NOT NULL,
    -- The entries as an entry bundle of C2SP tlog-tiles, compressed with zstd.
    body bytea NOT NULL,
    PRIMARY KEY (organization_id, first)
  );
  ALTER TABLE audit_segment ALTER body SET STORAGE EXTERNAL;

  -- 256 entries: bundle n has the leaves from 256 × n. What is in it never changes.
  CREATE TABLE audit_bundle (
    organization_id uuid NOT NULL,
    index bigint NOT NULL,
    -- The root of the subtree of its leaves.
    root bytea NOT NULL,
    oldest timestamptz NOT NULL,
    newest timestamptz NOT NULL,
    -- The latest time in this bundle and all earlier ones.
    latest timestamptz NOT NULL,
    -- The partition of its body.
    sealed_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, index)
  );
  CREATE INDEX audit_bundle_latest ON audit_bundle (organization_id, latest, index);

  -- The entries of the bundles, in a partition for each month, so that expired months can be dropped.
  CREATE TABLE audit_body (
    organization_id uuid NOT NULL,
    index bigint NOT NULL,
    sealed_at timestamptz NOT NULL,
    terms integer[] NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (organization_id, index, sealed_at)
  ) PARTITION BY RANGE (sealed_at);
  ALTER TABLE audit_body ALTER body SET STORAGE EXTERNAL;
  -- A pending list would be flushed in the middle of an ingestion, which then takes 100 ms longer.
  CREATE INDEX audit_body_terms ON audit_body USING gin (terms) WITH (fastupdate = off);

  -- The leaf hashes of pruned bundles in which a signed or an anchored tree ended: tiles of level 0.
  CREATE TABLE audit_kept_tile (
    organization_id uuid NOT NULL,
    index bigint NOT NULL,
    hashes bytea NOT NULL,
    PRIMARY KEY (organization_id, index)
  );

  -- Nodes of the tree at the heights 16, 24 and so on: the hashes of the tiles of level 2 and above.
  CREATE TABLE audit_tree_node (
    organization_id uuid NOT NULL,
    level smallint NOT NULL,
    index bigint NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (organization_id, level, index)
  );

  -- A row for each event that is neither a use nor a denial, to search them. The entries are also in the bundles.
  CREATE TABLE audit_management_event (
    organization_id uuid NOT NULL,
    leaf_index bigint NOT NULL,
    id uuid NOT NULL UNIQUE,
    entry bytea NOT NULL,
    type text NOT NULL,
    time timestamptz NOT NULL,
    api_key_id uuid,
    project_id uuid,
    actor_id text,
    -- Null if it is longer than a search allows.
    subject text,
    ip inet,
    path text,
    -- Search terms of the address and of the requests, the same in every organization.
    terms integer[] NOT NULL,
    PRIMARY KEY (organization_id, leaf_index)
  );
  CREATE INDEX audit_management_event_type ON audit_management_event (organization_id, type, leaf_index);
  CREATE INDEX audit_management_event_key ON audit_management_event (api_key_id, leaf_index) WHERE api_key_id IS NOT NULL;
  CREATE INDEX audit_management_event_project ON audit_management_event (project_id, leaf_index) WHERE project_id IS NOT NULL;
  CREATE INDEX audit_management_event_actor ON audit_management_event (organization_id, actor_id, leaf_index);
  CREATE INDEX audit_management_event_terms ON audit_management_event USING gin (terms) WITH (fastupdate = off);
  -- "What happened to this member, project, invitation?"
  CREATE INDEX audit_management_event_subject ON audit_management_event (organization_id, subject, leaf_index)
    WHERE api_key_id IS NULL;
`;

/** The epochs of checkpoints, each with its own keys, origin and anchor. */
export const AUDIT_EPOCH = /* sql */ `
  CREATE TABLE audit_epoch (
    number integer PRIMARY KEY CHECK (number > 0),
    -- Null before the first signature.
    origin text,
    -- The file with the anchored heads, and the number of its groups.
    anchor_id text NOT NULL,
    anchor_sequence bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT now()
  );

  -- The keys of an epoch. Several sign while one replaces another.
  CREATE TABLE audit_signing_key (
    epoch integer NOT NULL REFERENCES audit_epoch,
    number integer NOT NULL CHECK (number > 0),
    public_key bytea NOT NULL CHECK (length(public_key) = 32),
    -- Sealed with KEYLEDGER_SECRET. Null when it no longer signs.
    private_key bytea,
    -- When it stops signing; null for the newest.
    ends_at timestamptz,
    compromised boolean NOT NULL DEFAULT false,
    PRIMARY KEY (epoch, number),
    CHECK (private_key IS NOT NULL OR ends_at IS NOT NULL),
    CHECK (NOT compromised OR private_key IS NULL)
  );
`;

/**
 * No statement changes these tables, not even one of their owner, who could only remove the triggers. What was pruned can
 * be deleted.
 */
const APPEND_ONLY = [
  { table: 'audit_bundle', trigger: 'audit_log_is_append_only()' },
  { table: 'audit_body', trigger: "audit_entries_are_kept('bundle')" },
  { table: 'audit_tree_node', trigger: 'audit_log_is_append_only()' },
  { table: 'audit_kept_tile', trigger: 'audit_log_is_append_only()' },
  { table: 'audit_management_event', trigger: "audit_entries_are_kept('leaf')" },
];

export const AUDIT_LOG_APPEND_ONLY = /* sql */ `
  CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
  END $$;

  -- Rows of entries below the minimum of their log may be deleted. All others stay.
  CREATE FUNCTION audit_entries_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
  DECLARE
    leaf bigint;
  BEGIN
    IF TG_OP = 'DELETE' THEN
      IF TG_ARGV[0] = 'bundle' THEN leaf := OLD.index * 256; ELSE leaf := OLD.leaf_index; END IF;
      IF EXISTS (SELECT FROM public.audit_log l WHERE l.organization_id = OLD.organization_id AND leaf < l.minimum_index) THEN
        RETURN OLD;
      END IF;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
  END $$;
  ${APPEND_ONLY.map(
    ({ table, trigger }) => /* sql */ `
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ${table}
      FOR EACH ROW EXECUTE FUNCTION ${trigger};
    CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ${table}
      FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
    ALTER TABLE ${table} ENABLE ALWAYS TRIGGER append_only;
    ALTER TABLE ${table} ENABLE ALWAYS TRIGGER no_truncate;`,
  ).join('\n')}

  -- Adds what a partition does not inherit: TRUNCATE triggers are not cloned, and cloned row triggers are not ALWAYS.
  CREATE FUNCTION protect_audit_partition(partition regclass) RETURNS void LANGUAGE plpgsql AS $$
  BEGIN
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only()', partition);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER no_truncate', partition);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only', partition);
  END $$;

  -- Creates a partition for each coming month. The worker calls it, and has the owner's rights only in this function.
  -- Creating one waits for all readers of the bodies, and new readers wait meanwhile: so it gives up soon.
  CREATE FUNCTION ensure_audit_partitions(months integer) RETURNS integer LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '1s' AS $$
  DECLARE
    first timestamptz;
    name text;
    made integer := 0;
  BEGIN
    IF (months BETWEEN 0 AND 24) IS NOT TRUE THEN
      RAISE EXCEPTION 'at most 24 months ahead' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR i IN 0..months LOOP
      first := (date_trunc('month', audit_time() AT TIME ZONE 'UTC') + make_interval(months => i)) AT TIME ZONE 'UTC';
      name := format('audit_body_%s', to_char(first AT TIME ZONE 'UTC', 'YYYY_MM'));
      CONTINUE WHEN to_regclass(name) IS NOT NULL;
      BEGIN
        EXECUTE format('CREATE TABLE %I PARTITION OF audit_body FOR VALUES FROM (%L) TO (%L)', name, first,
                       (first AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
        PERFORM protect_audit_partition(name::regclass);
        made := made + 1;
      EXCEPTION WHEN check_violation THEN
        -- The default partition has bundles of this month, and keeps it.
        NULL;
      END;
    END LOOP;
    RETURN made;
  END $$;
  REVOKE ALL ON FUNCTION ensure_audit_partitions, protect_audit_partition FROM PUBLIC;

  -- For a time without a partition. The worker's upkeep reports it if it is not empty.
  CREATE TABLE audit_body_default PARTITION OF audit_body DEFAULT;
  SELECT protect_audit_partition('audit_body_default');
  SELECT ensure_audit_partitions(3);
`;

/**
 * The only ways into the audit log. The worker may call these functions and has no other right to write its tables, so
 * it can append, but cannot change what is in a bundle, leave a gap or use a sealed leaf index again.
 */
export const AUDIT_LOG_FUNCTIONS = /* sql */ `
  -- Locks the heads of these logs until the transaction ends, in the order of their ids, so that two workers never
  -- deadlock. The first event of an organization creates its head; the foreign key rejects an organization that does
  -- not exist.
  CREATE FUNCTION lock_audit_logs(organizations uuid[]) RETURNS SETOF audit_log LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
  BEGIN
    PERFORM FROM audit_log l WHERE l.organization_id = ANY(organizations) ORDER BY l.organization_id FOR UPDATE;
    IF (SELECT count(*) FROM audit_log l WHERE l.organization_id = ANY(organizations)) < cardinality(organizations) THEN
      INSERT INTO audit_log (organization_id, size)
        SELECT id, 0 FROM unnest(organizations) AS id ORDER BY id ON CONFLICT DO NOTHING;
    END IF;
    RETURN QUERY SELECT * FROM audit_log l WHERE l.organization_id = ANY(organizations)
      ORDER BY l.organization_id FOR UPDATE;
  END $$;

  -- Appends entries to several logs. For each log: its size before and after, and at most one new segment, which begins
  -- at the old size if the present segments are kept, and otherwise replaces them after the last full bundle.
  -- "bodies" holds the bodies of the segments and then those of the bundles, whose lengths are given separately.
  CREATE FUNCTION append_to_audit_logs(
    logs uuid[], sizes bigint[], new_sizes bigint[], frontiers bytea[], kept boolean[],
    latests timestamptz[], latenesses bigint[],
    segment_firsts bigint[], segment_oldest timestamptz[], segment_newest timestamptz[],
    segment_terms text[], segment_terms_of text[], segment_lengths integer[],
    bundle_logs uuid[], bundle_indexes bigint[], roots bytea[],
    bundle_oldest timestamptz[], bundle_newest timestamptz[], bundle_latest timestamptz[],
    bundle_terms text[], bundle_lengths integer[],
    node_logs uuid[], node_levels smallint[], node_indexes bigint[], node_hashes bytea[],
    bodies bytea
  ) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  DECLARE
    grown integer;
  BEGIN
    -- Every log grows from its present size, by exactly the entries of its bundles and its segment.
    IF EXISTS (
      SELECT FROM unnest(logs, sizes, new_sizes, kept, segment_firsts)
        AS t (log, size, new_size, keeps, first)
      LEFT JOIN (
        SELECT log, count(*) AS bundles, min(index) AS lowest, max(index) AS highest
        FROM unnest(bundle_logs, bundle_indexes) AS b (log, index) GROUP BY log
      ) AS b USING (log)
      WHERE num_nulls(log, size, new_size, keeps) > 0 OR new_size <= size
        OR coalesce(bundles, 0) <> new_size / 256 - size / 256
        OR lowest <> size / 256 OR highest <> new_size / 256 - 1
        OR (keeps AND (bundles > 0 OR first IS DISTINCT FROM size))
        OR (NOT keeps AND first IS DISTINCT FROM CASE WHEN new_size % 256 > 0 THEN new_size - new_size % 256 END)
    ) OR EXISTS (SELECT FROM unnest(bundle_logs) AS log WHERE log <> ALL (logs))
      -- A tree node is complete with one of the new entries.
      OR EXISTS (
        SELECT FROM unnest(node_logs, node_levels, node_indexes) AS n (log, level, index)
        LEFT JOIN unnest(logs, sizes, new_sizes) AS t (log, size, new_size) USING (log)
        WHERE ((index + 1)::numeric * 256::numeric ^ level BETWEEN size + 1 AND new_size AND level >= 2) IS NOT TRUE
      ) THEN
      RAISE EXCEPTION 'these entries do not continue their audit logs' USING ERRCODE = 'insufficient_privilege';
    END IF;

    UPDATE audit_log l SET size = t.new_size, grown_from = t.size, frontier = t.frontier, latest = t.latest, lateness_ms = t.lateness,
      segments = CASE WHEN t.keeps THEN l.segments ELSE 0 END + (t.first IS NOT NULL)::int
    FROM unnest(logs, sizes, new_sizes, frontiers, kept, segment_firsts, latests, latenesses)
      AS t (log, size, new_size, frontier, keeps, first, latest, lateness)
    WHERE l.organization_id = t.log AND l.size = t.size AND length(t.frontier) = 32 * bit_count(t.new_size::bit(64));
    GET DIAGNOSTICS grown = ROW_COUNT;
    IF grown <> cardinality(logs) THEN
      RAISE EXCEPTION 'an audit log has another size' USING ERRCODE = 'serialization_failure';
    END IF;

    DELETE FROM audit_segment s USING unnest(logs, kept) AS t (log, keeps)
    WHERE s.organization_id = t.log AND NOT t.keeps;

    INSERT INTO audit_segment
    SELECT log, first, new_size - first, oldest, newest, terms::integer[], terms_of::smallint[],
           substring(bodies FROM (upto - length + 1)::int FOR length)
    FROM (
      SELECT *, sum(length) OVER (ORDER BY place) AS upto
      FROM unnest(logs, new_sizes, segment_firsts, segment_oldest, segment_newest, segment_terms, segment_terms_of,
                  segment_lengths) WITH ORDINALITY
        AS t (log, new_size, first, oldest, newest, terms, terms_of, length, place)
    ) AS placed WHERE first IS NOT NULL;

    INSERT INTO audit_bundle
    SELECT log, index, root, oldest, newest, latest, audit_time()
    FROM unnest(bundle_logs, bundle_indexes, roots, bundle_oldest, bundle_newest, bundle_latest)
      AS t (log, index, root, oldest, newest, latest);

    INSERT INTO audit_body
    SELECT log, index, audit_time(), terms::integer[], substring(bodies FROM (upto - length + 1)::int FOR length)
    FROM (
      SELECT *, coalesce((SELECT sum(l) FROM unnest(segment_lengths) AS l), 0) + sum(length) OVER (ORDER BY place) AS upto
      FROM unnest(bundle_logs, bundle_indexes, bundle_terms, bundle_lengths) WITH ORDINALITY
        AS t (log, index, terms, length, place)
    ) AS placed;

    INSERT INTO audit_tree_node SELECT * FROM unnest(node_logs, node_levels, node_indexes, node_hashes);
  END $$;

  -- The rows to search management events, after their entries were appended in the same transaction.
  CREATE FUNCTION append_management_events(
    organizations uuid[], leaf_indexes bigint[], ids uuid[], types text[], times timestamptz[], api_keys uuid[],
    projects uuid[], actors text[], subjects text[], ips inet[], paths text[], row_terms text[],
    lengths integer[], entries bytea
  ) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  BEGIN
    IF EXISTS (
      SELECT FROM unnest(organizations, leaf_indexes) AS t (organization, leaf_index)
      LEFT JOIN audit_log l ON l.organization_id = t.organization
      WHERE (t.leaf_index >= l.grown_from AND t.leaf_index < l.size) IS NOT TRUE
    ) THEN
      RAISE EXCEPTION 'no audit log has these leaves' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO audit_management_event
      (organization_id, leaf_index, id, type, time, api_key_id, project_id, actor_id, subject, ip, path, terms, entry)
    SELECT organization, leaf_index, id, type, time, api_key, project, actor, subject, ip, path, terms::integer[],
           substring(entries FROM (upto - length + 1)::int FOR length)
    FROM (
      SELECT *, sum(length) OVER (ORDER BY place) AS upto
      FROM unnest(organizations, leaf_indexes, ids, types, times, api_keys, projects, actors, subjects, ips, paths,
                  row_terms, lengths) WITH ORDINALITY
        AS t (organization, leaf_index, id, type, time, api_key, project, actor, subject, ip, path, terms, length, place)
    ) AS placed;
  END $$;
  REVOKE ALL ON FUNCTION lock_audit_logs, append_to_audit_logs, append_management_events FROM PUBLIC;
`;
