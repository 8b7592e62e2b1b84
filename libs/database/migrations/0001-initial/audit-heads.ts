/**
 * The log of heads, which witnesses cosign: one for the whole deployment, and a new one in each epoch. `libs/audit`
 * explains how it is used.
 */
export const AUDIT_HEADS = /* sql */ `
  CREATE TABLE audit_heads (
    epoch integer PRIMARY KEY REFERENCES audit_epoch,
    -- The number of entries, and the hashes of the complete subtrees, largest first.
    size bigint NOT NULL DEFAULT 0,
    frontier bytea NOT NULL DEFAULT '',
    -- When a node last began to ask the witnesses.
    asked_at timestamptz,
    -- The newest checkpoint with the cosignatures of enough witnesses, and its size.
    cosigned text,
    cosigned_size bigint NOT NULL DEFAULT 0 CHECK (cosigned_size <= size),
    cosigned_at timestamptz
  );

  -- The entries of the log of heads: heads of audit logs.
  CREATE TABLE audit_head (
    epoch integer NOT NULL,
    index bigint NOT NULL,
    organization_id uuid NOT NULL,
    size bigint NOT NULL,
    root bytea NOT NULL CHECK (length(root) = 32),
    PRIMARY KEY (epoch, index)
  );
  CREATE INDEX audit_head_organization ON audit_head (organization_id, epoch, index);

  -- Nodes of its tree at the heights 8, 16 and so on: the hashes of the tiles of level 1 and above.
  CREATE TABLE audit_head_node (
    epoch integer NOT NULL,
    level smallint NOT NULL,
    index bigint NOT NULL,
    hash bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (epoch, level, index)
  );

  -- What each witness did last.
  CREATE TABLE audit_witness (
    epoch integer NOT NULL REFERENCES audit_epoch,
    vkey text NOT NULL,
    -- The size of the tree that it cosigned, the time in its cosignature, and the line.
    size bigint NOT NULL DEFAULT 0,
    cosigned_at timestamptz,
    cosignature text,
    -- Why it did not cosign when it was last asked; null if it did.
    failure text,
    failed_at timestamptz,
    PRIMARY KEY (epoch, vkey)
  );

  -- The only way into the log of heads. Each head continues the earlier one of the same audit log.
  CREATE FUNCTION append_audit_heads(
    epoch_number integer, old_size bigint, new_frontier bytea,
    organizations uuid[], sizes bigint[], roots bytea[],
    node_levels smallint[], node_indexes bigint[], node_hashes bytea[]
  ) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  DECLARE
    new_size bigint := old_size + cardinality(organizations);
  BEGIN
    IF (SELECT count(*) <> count(DISTINCT organization) FROM unnest(organizations) AS organization) OR EXISTS (
      SELECT FROM unnest(organizations, sizes, roots) AS h (organization, size, root)
      LEFT JOIN audit_log l ON l.organization_id = h.organization
      LEFT JOIN LATERAL (
        SELECT e.size FROM audit_head e WHERE e.organization_id = h.organization AND e.epoch = epoch_number
        ORDER BY e.index DESC LIMIT 1
      ) AS earlier ON true
      WHERE (h.size > coalesce(earlier.size, 0) AND h.size <= l.size AND root IS NOT NULL) IS NOT TRUE
    ) OR EXISTS (
      -- A tree node is complete with one of the new entries.
      SELECT FROM unnest(node_levels, node_indexes) AS n (level, index)
      WHERE ((index + 1)::numeric * 256::numeric ^ level BETWEEN old_size + 1 AND new_size AND level >= 1) IS NOT TRUE
    ) THEN
      RAISE EXCEPTION 'these heads do not continue their audit logs' USING ERRCODE = 'insufficient_privilege';
    END IF;

    UPDATE audit_heads SET size = new_size, frontier = new_frontier
    WHERE epoch = epoch_number AND size = old_size AND new_size > old_size
      AND length(new_frontier) = 32 * bit_count(new_size::bit(64));
    IF NOT FOUND THEN
      RAISE EXCEPTION 'the log of heads has another size' USING ERRCODE = 'serialization_failure';
    END IF;
    INSERT INTO audit_head
    SELECT epoch_number, old_size + place - 1, organization, size, root
    FROM unnest(organizations, sizes, roots) WITH ORDINALITY AS h (organization, size, root, place);
    INSERT INTO audit_head_node
    SELECT epoch_number, level, index, hash FROM unnest(node_levels, node_indexes, node_hashes) AS n (level, index, hash);
  END $$;
  REVOKE ALL ON FUNCTION append_audit_heads FROM PUBLIC;

  ${['audit_head', 'audit_head_node']
    .map(
      (table) => /* sql */ `
  CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ${table}
    FOR EACH ROW EXECUTE FUNCTION audit_log_is_append_only();
  CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ${table}
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
  ALTER TABLE ${table} ENABLE ALWAYS TRIGGER append_only;
  ALTER TABLE ${table} ENABLE ALWAYS TRIGGER no_truncate;`,
    )
    .join('\n')}
`;
