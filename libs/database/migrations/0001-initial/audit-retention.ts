/** How long entries are kept, and which hashes outlive them. */
export const AUDIT_RETENTION = /* sql */ `
  CREATE TABLE audit_retention (
    organization_id uuid PRIMARY KEY REFERENCES organization,
    -- How long entries are kept. Null for the default, which the row of the deployment has. Null there: for ever.
    days integer CHECK (days BETWEEN 30 AND 36500),
    -- While an organization is under legal hold, nothing of its log is pruned.
    hold_reason text,
    held_since timestamptz,
    -- By the clock of the server, whoever changes the row.
    changed_at timestamptz NOT NULL,
    CHECK ((hold_reason IS NULL) = (held_since IS NULL))
  );
  CREATE FUNCTION stamp_audit_retention() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    NEW.changed_at := public.audit_time();
    RETURN NEW;
  END $$;
  CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON audit_retention FOR EACH ROW EXECUTE FUNCTION stamp_audit_retention();
  ALTER TABLE audit_retention ENABLE ALWAYS TRIGGER stamp;

  -- The bundles in which a signed tree ended. Their leaf hashes must outlive their entries: a proof of consistency with
  -- that tree needs them.
  CREATE TABLE audit_signed_bundle (
    organization_id uuid NOT NULL,
    index bigint NOT NULL,
    PRIMARY KEY (organization_id, index)
  );
  -- The bundle in which the anchored tree of a log ended: the next anchored tree is compared with it.
  CREATE TABLE audit_anchored_bundle (
    organization_id uuid PRIMARY KEY,
    index bigint NOT NULL
  );
`;

/**
 * The only ways to prune. The worker may call these functions and has no other right to delete entries. They compute what
 * has expired by themselves, so that it cannot prune more. `libs/audit/audit-pruning.ts` calls them.
 */
export const AUDIT_RETENTION_FUNCTIONS = /* sql */ `
  -- The leaf index below which a log may be pruned now: all bundles below it were sealed before the retention began, and so
  -- were the times of all their entries. It looks at a million bundles. A legal hold keeps everything, and so does a change
  -- of the retention or of a hold within the last day, because it may be a mistake.
  CREATE FUNCTION audit_log_expired_below(log uuid) RETURNS bigint LANGUAGE plpgsql STABLE
    SET search_path = public, pg_temp AS $$
  DECLARE
    kept_from timestamptz;
    first bigint;
    last bigint;
  BEGIN
    SELECT l.minimum_index / 256, least(l.size / 256, l.minimum_index / 256 + 1000000),
           CASE WHEN own.held_since IS NULL
                  AND coalesce(own.changed_at < audit_time() - interval '24 hours', true)
                  AND (own.days IS NOT NULL OR deployment.changed_at < audit_time() - interval '24 hours')
             THEN audit_time() - coalesce(own.days, deployment.days) * interval '24 hours' END
    INTO first, last, kept_from
    FROM audit_log l
    LEFT JOIN audit_retention own ON own.organization_id = l.organization_id
    LEFT JOIN audit_retention deployment ON deployment.organization_id = '00000000-0000-0000-0000-000000000000'
    WHERE l.organization_id = log;
    IF kept_from IS NULL THEN
      RETURN first * 256;
    END IF;
    RETURN 256 * coalesce((
      SELECT b.index FROM audit_bundle b
      WHERE b.organization_id = log AND b.index >= first AND b.index < last
        AND (b.latest >= kept_from OR b.sealed_at >= kept_from)
      ORDER BY b.index LIMIT 1
    ), last);
  END $$;

  -- The logs that have something to prune. Each is pruned once a day at the most.
  CREATE FUNCTION prunable_audit_logs() RETURNS TABLE (organization_id uuid, minimum_index bigint, expired_below bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT l.organization_id, l.minimum_index, expired.below
    FROM audit_log l, audit_log_expired_below(l.organization_id) AS expired (below)
    WHERE expired.below > l.minimum_index
      AND coalesce(l.pruned_at <= audit_time() - interval '24 hours', true)
    ORDER BY l.organization_id
  $$;

  -- Keeps the leaf hashes of a bundle. They must have its root.
  CREATE FUNCTION keep_audit_tile(log uuid, bundle bigint, leaf_hashes bytea) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
  DECLARE
    nodes bytea[];
  BEGIN
    IF length(leaf_hashes) = 8192 THEN
      nodes := ARRAY(SELECT substring(leaf_hashes FROM 32 * n + 1 FOR 32) FROM generate_series(0, 255) AS n ORDER BY n);
      WHILE cardinality(nodes) > 1 LOOP
        nodes := ARRAY(SELECT sha256('\\x01'::bytea || nodes[2 * n - 1] || nodes[2 * n])
                       FROM generate_series(1, cardinality(nodes) / 2) AS n ORDER BY n);
      END LOOP;
    END IF;
    IF NOT EXISTS (SELECT FROM audit_bundle b WHERE b.organization_id = log AND b.index = bundle AND b.root = nodes[1]) THEN
      RAISE EXCEPTION 'these hashes are not those of the bundle' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO audit_kept_tile VALUES (log, bundle, leaf_hashes) ON CONFLICT DO NOTHING;
  END $$;

  -- Prunes what has expired: nothing else shows it any more, and it can be deleted. The lock on the organization keeps a
  -- legal hold from being placed meanwhile.
  CREATE FUNCTION prune_audit_log(log uuid, below bigint) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
  DECLARE
    minimum bigint;
  BEGIN
    PERFORM FROM organization o WHERE o.id = log FOR SHARE;
    SELECT l.minimum_index INTO minimum FROM audit_log l WHERE l.organization_id = log FOR UPDATE;
    IF (below % 256 = 0 AND below > minimum AND below <= audit_log_expired_below(log)) IS NOT TRUE THEN
      RAISE EXCEPTION 'these entries have not expired' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (
      SELECT FROM (SELECT * FROM audit_signed_bundle UNION SELECT * FROM audit_anchored_bundle) AS needed
      WHERE needed.organization_id = log AND needed.index >= minimum / 256 AND needed.index < below / 256
        AND NOT EXISTS (SELECT FROM audit_kept_tile t WHERE t.organization_id = log AND t.index = needed.index)
    ) THEN
      RAISE EXCEPTION 'the leaf hashes of a signed tree would be lost' USING ERRCODE = 'insufficient_privilege';
    END IF;
    UPDATE audit_log SET minimum_index = below, pruned_at = audit_time() WHERE organization_id = log;
  END $$;

  -- Deletes some of what was pruned, for as many bundles. Returns whether more is left. A row that says that an epoch began
  -- stays, because the anchor asks for it.
  CREATE FUNCTION erase_pruned_audit_entries(log uuid, bundles integer) RETURNS boolean LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
  DECLARE
    first bigint;
    minimum bigint;
    upto bigint;
  BEGIN
    IF (bundles BETWEEN 1 AND 10000) IS NOT TRUE THEN
      RAISE EXCEPTION 'at most 10000 bundles' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT erased_index, minimum_index INTO first, minimum FROM audit_log WHERE organization_id = log;
    upto := least(minimum, first + bundles * 256);
    DELETE FROM audit_management_event
      WHERE organization_id = log AND leaf_index >= first AND leaf_index < upto AND type <> 'audit_log.epoch_started';
    DELETE FROM audit_body WHERE organization_id = log AND index >= first / 256 AND index < upto / 256;
    UPDATE audit_log SET erased_index = greatest(erased_index, upto) WHERE organization_id = log;
    RETURN upto < minimum;
  END $$;

  -- Drops the oldest partition if its month has passed and all its bundles were pruned. Returns its name, or null. Dropping
  -- it waits for all readers of the bodies, and new readers wait meanwhile: so it gives up soon.
  CREATE FUNCTION drop_pruned_audit_partition() RETURNS text LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '1s' AS $$
  DECLARE
    -- A transaction that began before midnight may still write into the earlier month.
    month text := to_char((audit_time() - interval '24 hours') AT TIME ZONE 'UTC', 'YYYY_MM');
    name text;
    is_needed boolean;
  BEGIN
    SELECT c.relname INTO name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'audit_body'::regclass AND c.relname < format('audit_body_%s', month)
    ORDER BY c.relname LIMIT 1;
    IF name IS NULL THEN
      RETURN NULL;
    END IF;
    -- One probe of the primary key for each log.
    EXECUTE format(
      'SELECT EXISTS (
         SELECT FROM audit_log l CROSS JOIN LATERAL (
           SELECT FROM %I b WHERE b.organization_id = l.organization_id AND b.index >= l.minimum_index / 256 LIMIT 1
         ) AS kept
       )', name) INTO is_needed;
    IF is_needed THEN
      RETURN NULL;
    END IF;
    EXECUTE format('DROP TABLE %I', name);
    RETURN name;
  EXCEPTION WHEN lock_not_available THEN
    RETURN NULL;
  END $$;
  REVOKE ALL ON FUNCTION audit_log_expired_below, prunable_audit_logs, keep_audit_tile, prune_audit_log,
    erase_pruned_audit_entries, drop_pruned_audit_partition FROM PUBLIC;
`;
