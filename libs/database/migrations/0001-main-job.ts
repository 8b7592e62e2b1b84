import { Migration } from '@mikro-orm/migrations';

/**
 * Everything that the main job stands on. Runs as `keyledger_owner`, a role that nobody logs in as, so that the roles of
 * the serving processes own nothing and can do only what is granted here.
 */
export class MainJob extends Migration {
  override up(): void {
    this.addSql(PEOPLE);
    this.addSql(API_KEYS);
    this.addSql(EVENT_PATH);
    this.addSql(AUDIT_LOG);
    this.addSql(GRANTS);
  }
}

const PEOPLE = /* sql */ `
  CREATE TABLE organization (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    personal boolean NOT NULL,
    -- The last four bits of the id, as shardOf() has it.
    shard smallint NOT NULL GENERATED ALWAYS AS (get_byte(uuid_send(id), 15) & 15) STORED,
    created_at timestamptz NOT NULL
  );

  CREATE TABLE user_account (
    id uuid PRIMARY KEY,
    email text NOT NULL UNIQUE,
    name text NOT NULL,
    password_hash text NOT NULL,
    personal_organization_id uuid NOT NULL REFERENCES organization,
    created_at timestamptz NOT NULL
  );

  CREATE TABLE membership (
    organization_id uuid NOT NULL REFERENCES organization,
    user_id uuid NOT NULL REFERENCES user_account,
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'developer', 'auditor', 'viewer')),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, user_id)
  );
  CREATE INDEX membership_user_id ON membership (user_id);

  CREATE TABLE session (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES user_account,
    ip text,
    user_agent text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz
  );
  CREATE INDEX session_user_id ON session (user_id);

  CREATE TABLE refresh_token (
    hash bytea PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES session,
    salt bytea NOT NULL,
    created_at timestamptz NOT NULL,
    used_at timestamptz
  );
  CREATE INDEX refresh_token_session_id ON refresh_token (session_id);

  CREATE TABLE signing_key (
    id text PRIMARY KEY,
    public_key text NOT NULL,
    -- Sealed with KEYLEDGER_SECRET.
    private_key bytea NOT NULL,
    created_at timestamptz NOT NULL
  );

  CREATE TABLE login_delay (
    bucket text PRIMARY KEY,
    failures integer NOT NULL,
    next_attempt_at timestamptz NOT NULL
  );
`;

const API_KEYS = /* sql */ `
  CREATE TABLE api_key (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organization,
    name text NOT NULL,
    description text,
    -- The customer's own name for whom or what the key is.
    external_id text,
    metadata jsonb NOT NULL DEFAULT '{}',
    -- How the present secret begins: its prefix and 6 characters.
    prefix text NOT NULL,
    environment text NOT NULL CHECK (environment IN ('test', 'live')),
    scopes text[] NOT NULL,
    created_by_type text NOT NULL,
    created_by_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    expires_at timestamptz,
    rotated_at timestamptz,
    disabled_at timestamptz,
    revoked_at timestamptz,
    deleted_at timestamptz,
    -- Counts its changes: what If-Match compares.
    version integer NOT NULL
  );
  CREATE INDEX api_key_external_id ON api_key (organization_id, external_id) WHERE external_id IS NOT NULL;
  CREATE INDEX api_key_organization_id ON api_key (organization_id, id) WHERE deleted_at IS NULL;

  CREATE INDEX api_key_expires_at ON api_key (expires_at) WHERE revoked_at IS NULL AND expires_at IS NOT NULL;

  -- What was told of which expiry: a key whose expiry is moved is told of again.
  CREATE TABLE api_key_notice (
    api_key_id uuid NOT NULL REFERENCES api_key,
    expires_at timestamptz NOT NULL,
    -- How long before the expiry; zero when it has come.
    lead interval NOT NULL,
    PRIMARY KEY (api_key_id, expires_at, lead)
  );

  CREATE TABLE api_key_secret (
    id uuid PRIMARY KEY,
    api_key_id uuid NOT NULL REFERENCES api_key,
    -- The first 10 random characters of the token.
    handle text NOT NULL UNIQUE,
    -- Argon2id over the whole token.
    hash text NOT NULL,
    created_at timestamptz NOT NULL,
    -- From this instant on it no longer verifies; null while it is the key's secret.
    ended_at timestamptz
  );
  CREATE UNIQUE INDEX api_key_secret_current ON api_key_secret (api_key_id) WHERE ended_at IS NULL;

  CREATE TABLE api_key_usage (
    api_key_id uuid PRIMARY KEY,
    uses bigint NOT NULL DEFAULT 0,
    denials bigint NOT NULL DEFAULT 0,
    last_used_at timestamptz,
    last_denied_at timestamptz
  );
`;

const EVENT_PATH = /* sql */ `
  -- Under which authorization state a decision is made: the tag is drawn anew with every change of the shard.
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

  -- The worker's outbox: durable batches of event bytes.
  CREATE TABLE outbox (
    shard smallint NOT NULL,
    id uuid NOT NULL,
    body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (shard, id)
  );

  -- Who holds a shard's row empties its outbox.
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

const AUDIT_LOG = /* sql */ `
  -- The head of each organization's log: the number of its entries.
  CREATE TABLE audit_log (
    organization_id uuid PRIMARY KEY REFERENCES organization,
    size bigint NOT NULL
  );

  CREATE TABLE audit_event (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    leaf_index bigint NOT NULL,
    leaf_hash bytea NOT NULL,
    -- The exact bytes: jsonb would not give them back.
    entry bytea NOT NULL,
    type text NOT NULL,
    time timestamptz NOT NULL,
    api_key_id uuid,
    PRIMARY KEY (id)
  ) PARTITION BY RANGE (id);
  CREATE INDEX audit_event_leaf ON audit_event (organization_id, leaf_index);
  CREATE INDEX audit_event_type ON audit_event (organization_id, type, leaf_index);
  CREATE INDEX audit_event_key ON audit_event (api_key_id, leaf_index) WHERE api_key_id IS NOT NULL;

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

  -- The smallest UUIDv7 of an instant.
  CREATE FUNCTION uuid_at(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
  $$;

  -- What a partition does not get from its parent: TRUNCATE triggers are not cloned, and cloned row triggers are not ALWAYS.
  CREATE FUNCTION protect_audit_partition(partition regclass) RETURNS void LANGUAGE plpgsql AS $$
  BEGIN
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION audit_event_is_append_only()', partition);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER no_truncate', partition);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only', partition);
  END $$;

  -- A partition for each month to come, made by the worker with the owner's rights and nothing else of them.
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

  -- Takes the ids of a wrong clock; the worker's upkeep tells when it is not empty.
  CREATE TABLE audit_event_default PARTITION OF audit_event DEFAULT;
  SELECT protect_audit_partition('audit_event_default');
  SELECT ensure_audit_partitions(3);
`;

const GRANTS = /* sql */ `
  GRANT SELECT, INSERT ON organization, signing_key TO keyledger_api;
  GRANT SELECT, INSERT, UPDATE ON user_account, membership, session, refresh_token, api_key, api_key_secret TO keyledger_api;
  GRANT SELECT, INSERT, UPDATE, DELETE ON login_delay TO keyledger_api;
  GRANT SELECT, UPDATE ON authz_state TO keyledger_api;
  GRANT SELECT, INSERT ON authz_change, outbox TO keyledger_api;
  GRANT SELECT ON api_key_usage, audit_log, audit_event, event_quarantine TO keyledger_api;

  GRANT SELECT, DELETE ON outbox, authz_change TO keyledger_worker;
  -- For what the worker notices by itself: that a key has expired.
  GRANT SELECT ON api_key, authz_state TO keyledger_worker;
  GRANT SELECT, INSERT ON api_key_notice TO keyledger_worker;
  GRANT INSERT ON outbox TO keyledger_worker;
  GRANT SELECT, UPDATE ON ingest TO keyledger_worker;
  GRANT SELECT, INSERT ON event_quarantine, audit_event TO keyledger_worker;
  GRANT SELECT, INSERT, UPDATE ON audit_log, api_key_usage TO keyledger_worker;
  -- A partition asked for by its own name has rights of its own.
  GRANT SELECT ON audit_event_default TO keyledger_worker;
  GRANT EXECUTE ON FUNCTION ensure_audit_partitions TO keyledger_worker;
`;
