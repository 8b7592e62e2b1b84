/** Keys, their secrets, and the notices of their expiry. */
export const API_KEYS = /* sql */ `
  CREATE TABLE api_key (
    id uuid PRIMARY KEY,
    -- A second id, for clients that identify keys by number.
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    organization_id uuid NOT NULL REFERENCES organization,
    -- The project to which the key is limited.
    project_id uuid REFERENCES project,
    name text NOT NULL,
    description text,
    -- The customer's own id for the owner or the purpose of the key.
    external_id text,
    -- A note for the users who manage the key.
    owner_note text,
    metadata jsonb NOT NULL,
    public_key text NOT NULL UNIQUE,
    -- The beginning of the current secret: its prefix and 6 characters. Of an imported one, what the import says.
    prefix text NOT NULL,
    -- Whether another system made the current secret.
    imported boolean NOT NULL,
    environment text NOT NULL CHECK (environment IN ('test', 'live')),
    scopes text[] NOT NULL,
    allowed_domains text[] NOT NULL,
    -- The scopes of the public key alone; null if they follow from the key's scopes and allowed domains.
    public_scopes text[],
    allowed_ips text[] NOT NULL,
    rate_limits jsonb NOT NULL,
    -- The user who created the key, or the accountable user of the key that created it.
    accountable_user_id uuid NOT NULL REFERENCES user_account,
    -- The creator could manage only their own keys, so the key can manage no others either.
    own_keys_only boolean NOT NULL,
    created_by_type text NOT NULL,
    created_by_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    expires_at timestamptz,
    rotated_at timestamptz,
    disabled_at timestamptz,
    enabled_at timestamptz,
    revoked_at timestamptz,
    deleted_at timestamptz,
    -- The last report that a secret was found in a public place: its id, the time, the source and the address.
    leak jsonb,
    -- Counts the changes of the key. If-Match compares it.
    version integer NOT NULL
  );
  CREATE INDEX api_key_external_id ON api_key (organization_id, external_id) WHERE external_id IS NOT NULL;
  CREATE INDEX api_key_organization_id ON api_key (organization_id, id) WHERE deleted_at IS NULL;
  -- The audit log finds deleted keys by their names.
  CREATE INDEX api_key_deleted ON api_key (organization_id) WHERE deleted_at IS NOT NULL;
  -- Includes revoked keys: if a key expired before its revocation, the event of the expiry may not be written yet.
  CREATE INDEX api_key_expires_at ON api_key (expires_at) WHERE expires_at IS NOT NULL;
  -- In the order in which the worker processes the keys of a mass revocation.
  CREATE INDEX api_key_project_id ON api_key (project_id, number) WHERE project_id IS NOT NULL;
  CREATE INDEX api_key_accountable_user_id ON api_key (accountable_user_id, organization_id, number);
  -- For clients that need unique names: each creation checks whether the name is taken.
  CREATE INDEX api_key_name ON api_key (organization_id, name) WHERE revoked_at IS NULL;
  -- The few service keys of all organizations, which operators list.
  CREATE INDEX api_key_service ON api_key (id) WHERE scopes @> '{deployment:verify}' AND revoked_at IS NULL;
  -- A browser's preflight request asks whether any key allows an origin.
  CREATE INDEX api_key_allowed_domains ON api_key USING gin (allowed_domains)
    WHERE revoked_at IS NULL AND disabled_at IS NULL AND allowed_domains <> '{}';

  -- Which notices of which expiry were sent. A key whose expiry moves gets new ones.
  CREATE TABLE api_key_notice (
    api_key_id uuid NOT NULL REFERENCES api_key,
    expires_at timestamptz NOT NULL,
    -- How long before the expiry; zero for the expiry itself.
    lead interval NOT NULL,
    PRIMARY KEY (api_key_id, expires_at, lead)
  );

  CREATE TABLE api_key_secret (
    id uuid PRIMARY KEY,
    api_key_id uuid NOT NULL REFERENCES api_key,
    -- The first 10 random characters of the token. For an imported secret: ~ and a keyed hash of the token's SHA-256.
    handle text NOT NULL UNIQUE,
    -- Argon2id over the whole token; null for an imported secret that no caller has presented yet.
    hash text CHECK (hash IS NOT NULL OR handle LIKE '~%'),
    -- Lets nodes recognize a secret that Argon2id has verified once.
    digest bytea,
    created_at timestamptz NOT NULL,
    -- From this instant on, the secret no longer works; null for the current secret.
    ended_at timestamptz,
    -- When it was first reported as leaked. Later reports change nothing.
    leaked_at timestamptz
  );
  CREATE UNIQUE INDEX api_key_secret_current ON api_key_secret (api_key_id) WHERE ended_at IS NULL;
  -- Lists show 6 characters of a secret, and search finds keys by them, earlier secrets included.
  CREATE INDEX api_key_secret_shown ON api_key_secret (left(handle, 6));
  -- Whether the deployment has imported any, and since when.
  CREATE INDEX api_key_secret_imported ON api_key_secret (created_at) WHERE handle LIKE '~%';
`;

/** The rate limits of keys, and their counts. */
export const RATE_LIMITS = /* sql */ `
  -- One row for each limit of a key. Admission counts in it, and a change of the key's limits rewrites it.
  CREATE TABLE api_key_rate (
    api_key_id uuid NOT NULL REFERENCES api_key,
    name text NOT NULL,
    quota int NOT NULL CHECK (quota > 0),
    window_seconds int NOT NULL CHECK (window_seconds > 0),
    -- The number of the newest sub-window, a sixtieth of the window, counted from 1970.
    newest bigint NOT NULL DEFAULT 0,
    -- How much the newest sub-window and the sixty before it have let through, the oldest first. A window that ends now
    -- overlaps all 61.
    counts int[] NOT NULL DEFAULT array_fill(0, ARRAY[61]) CHECK (cardinality(counts) = 61),
    PRIMARY KEY (api_key_id, name)
  ) WITH (fillfactor = 50);

  -- The counts of removed limits, until their window has passed. If the limit is added again, it continues the count.
  CREATE TABLE api_key_removed_rate (
    api_key_id uuid NOT NULL REFERENCES api_key,
    window_seconds int NOT NULL CHECK (window_seconds > 0),
    -- As in api_key_rate.
    newest bigint NOT NULL,
    counts int[] NOT NULL CHECK (cardinality(counts) = 61),
    PRIMARY KEY (api_key_id, window_seconds)
  );
`;

/** Revokes any number of keys with one row. */
export const MASS_REVOCATION = /* sql */ `
  -- A mass revocation that the worker has not finished. Its keys are revoked from the commit of this row on. The worker
  -- sets revoked_at of each key and writes the key's event. With the last key, it removes the row.
  CREATE TABLE api_key_revocation (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organization,
    kind text NOT NULL CHECK (kind IN ('project', 'member')),
    -- The project, or the user who is accountable for the keys.
    subject uuid NOT NULL,
    -- The highest number among the keys. A key that is created later, by a member who came back, has a higher number.
    last_number bigint NOT NULL,
    -- The number of the last key that the worker has revoked.
    done_number bigint NOT NULL DEFAULT 0,
    revoked_at timestamptz NOT NULL,
    -- The fields of each key's event that describe the change that revoked the keys.
    seq bigint NOT NULL,
    actor jsonb NOT NULL,
    ip text,
    user_agent text,
    request_id text NOT NULL
  );
  CREATE INDEX api_key_revocation_subject ON api_key_revocation (subject);

  -- If a row were removed before all of its keys are revoked, the other keys would work again.
  CREATE FUNCTION refuse_unfinished_revocation() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF EXISTS (
      SELECT FROM api_key WHERE OLD.kind = 'project' AND project_id = OLD.subject AND number <= OLD.last_number
        AND revoked_at IS NULL
    ) OR EXISTS (
      SELECT FROM api_key WHERE OLD.kind = 'member' AND accountable_user_id = OLD.subject
        AND organization_id = OLD.organization_id AND number <= OLD.last_number AND revoked_at IS NULL
    ) THEN
      RAISE EXCEPTION 'api_key_revocation: it goes with the last of its keys' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN OLD;
  END $$;
  CREATE TRIGGER refuse_unfinished BEFORE DELETE ON api_key_revocation
    FOR EACH ROW EXECUTE FUNCTION refuse_unfinished_revocation();
  ALTER TABLE api_key_revocation ENABLE ALWAYS TRIGGER refuse_unfinished;

  -- The only definition of which keys an unfinished mass revocation covers. PostgreSQL inlines it into each query.
  CREATE FUNCTION pending_revocations(organization uuid, project uuid, accountable_user uuid, key_number bigint)
    RETURNS SETOF api_key_revocation LANGUAGE sql STABLE AS $$
      SELECT r.* FROM api_key_revocation r
      WHERE r.subject IN (project, accountable_user) AND r.organization_id = organization AND r.last_number >= key_number
    $$;
`;

/** How the worker disables keys. It has no right to enable one, or to renew an authorization state without need. */
export const DISABLE_KEYS = /* sql */ `
  -- Disables those of the keys that are active, and gives their shard a new state, so that every node notices. The caller
  -- holds the advisory lock of the shard.
  CREATE FUNCTION disable_api_keys(organization uuid, keys uuid[], at timestamptz)
    RETURNS TABLE (id uuid, project_id uuid, name text, seq bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  #variable_conflict use_column
  DECLARE
    active uuid[];
    state authz_state;
  BEGIN
    -- In the order of bulk changes and mass revocations.
    active := ARRAY(
      SELECT k.id FROM api_key k
      WHERE k.organization_id = organization AND k.id = ANY (keys) AND k.disabled_at IS NULL AND k.deleted_at IS NULL
        AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > at)
        AND NOT EXISTS (SELECT FROM pending_revocations(k.organization_id, k.project_id, k.accountable_user_id, k.number))
      ORDER BY k.number FOR UPDATE OF k
    );
    IF cardinality(active) = 0 THEN
      RETURN;
    END IF;
    UPDATE authz_state s
    SET seq = s.seq + 1, tag = ('x' || substr(md5(gen_random_uuid()::text), 1, 16))::bit(64)::bigint
    WHERE s.shard = get_byte(uuid_send(organization), 15) & 15 RETURNING s.* INTO state;
    INSERT INTO authz_change (shard, seq, tag, kind, id)
    VALUES (state.shard, state.seq, state.tag, 'organization', organization);
    RETURN QUERY UPDATE api_key k SET disabled_at = at, updated_at = at, version = k.version + 1
      WHERE k.id = ANY (active) RETURNING k.id, k.project_id, k.name, state.seq;
  END $$;
  REVOKE ALL ON FUNCTION disable_api_keys FROM PUBLIC;
`;

/** Counts keys, so that checking the limit on their number always costs the same. */
export const KEY_COUNTS = /* sql */ `
  -- The number of unrevoked keys by project and accountable user; if the user is null, of the whole organization. The
  -- creation of a key locks the organization's row until the commit, so two creations never exceed the limit together.
  CREATE TABLE api_key_count (
    organization_id uuid NOT NULL REFERENCES organization,
    accountable_user_id uuid,
    project_id uuid,
    keys integer NOT NULL,
    UNIQUE NULLS NOT DISTINCT (organization_id, accountable_user_id, project_id)
  ) WITH (fillfactor = 50);
  CREATE INDEX api_key_count_project_id ON api_key_count (project_id) WHERE project_id IS NOT NULL;

  CREATE FUNCTION count_created_api_keys() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO api_key_count AS c (organization_id, accountable_user_id, project_id, keys)
    SELECT organization_id, accountable_user_id, project_id, count(*) FROM created WHERE revoked_at IS NULL
    GROUP BY GROUPING SETS ((organization_id), (organization_id, accountable_user_id, project_id))
    -- The row of the organization first, so that no two transactions wait for each other.
    ORDER BY organization_id, accountable_user_id NULLS FIRST, project_id
    ON CONFLICT (organization_id, accountable_user_id, project_id) DO UPDATE SET keys = c.keys + excluded.keys;
    RETURN NULL;
  END $$;
  CREATE TRIGGER count_created AFTER INSERT ON api_key REFERENCING NEW TABLE AS created
    FOR EACH STATEMENT EXECUTE FUNCTION count_created_api_keys();

  CREATE FUNCTION count_revoked_api_key() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    -- A mass revocation has taken its keys off the counts already.
    IF EXISTS (SELECT FROM pending_revocations(OLD.organization_id, OLD.project_id, OLD.accountable_user_id, OLD.number))
    THEN RETURN NULL; END IF;
    UPDATE api_key_count SET keys = greatest(keys - 1, 0)
    WHERE organization_id = OLD.organization_id AND accountable_user_id IS NULL AND project_id IS NULL;
    UPDATE api_key_count SET keys = greatest(keys - 1, 0)
    WHERE organization_id = OLD.organization_id AND accountable_user_id = OLD.accountable_user_id
      AND project_id IS NOT DISTINCT FROM OLD.project_id;
    RETURN NULL;
  END $$;
  CREATE TRIGGER count_revoked AFTER UPDATE ON api_key FOR EACH ROW
    WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION count_revoked_api_key();
`;

export const CREDITS = /* sql */ `
  -- The prepaid balance of an organization. An organization without a row is not metered.
  CREATE TABLE credit (
    organization_id uuid PRIMARY KEY REFERENCES organization,
    balance bigint NOT NULL CHECK (balance >= 0),
    -- Each time the balance crosses it, credits.low is emitted once.
    low_below bigint NOT NULL
  ) WITH (fillfactor = 50);

  -- Grants of credits, with the operator who made them, and the ends of metering.
  CREATE TABLE credit_grant (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organization,
    amount bigint NOT NULL,
    balance_after bigint NOT NULL,
    reason text,
    granted_by uuid REFERENCES user_account,
    created_at timestamptz NOT NULL
  );
  CREATE INDEX credit_grant_organization_id ON credit_grant (organization_id, id);
`;
