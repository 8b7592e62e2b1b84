import { Migration } from '@mikro-orm/migrations';

/**
 * Revokes any number of keys by one row, and counts keys so that a limit on their number costs the same whatever the
 * number is.
 */
export class MassRevocation extends Migration {
  override up(): void {
    this.addSql(REVOCATIONS);
    this.addSql(COUNTS);
    this.addSql(INDEXES);
    this.addSql(GRANTS);
  }
}

const REVOCATIONS = /* sql */ `
  -- A mass revocation that the worker has not finished: its keys are revoked from the commit of this row on. The worker
  -- sets revoked_at of each key, writes the key's event, and removes the row with the last of them.
  CREATE TABLE api_key_revocation (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organization,
    kind text NOT NULL CHECK (kind IN ('project', 'member')),
    -- The project, or the user who is accountable for the keys.
    subject uuid NOT NULL,
    -- The highest number among the keys: a key made later, by a member who came back, has a higher one.
    last_number bigint NOT NULL,
    -- The number of the last key that the worker has done.
    done_number bigint NOT NULL DEFAULT 0,
    revoked_at timestamptz NOT NULL,
    -- What the event of each key says of the change that revoked it.
    seq bigint NOT NULL,
    actor jsonb NOT NULL,
    ip text,
    user_agent text,
    request_id text NOT NULL
  );
  CREATE INDEX api_key_revocation_subject ON api_key_revocation (subject);

  -- A row that goes before all of its keys are revoked would revive the others.
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

  -- The one definition of which keys an unfinished mass revocation covers. PostgreSQL inlines it into the query that asks.
  CREATE FUNCTION pending_revocations(organization uuid, project uuid, accountable_user uuid, key_number bigint)
    RETURNS SETOF api_key_revocation LANGUAGE sql STABLE AS $$
      SELECT r.* FROM api_key_revocation r
      WHERE r.subject IN (project, accountable_user) AND r.organization_id = organization AND r.last_number >= key_number
    $$;
`;

const COUNTS = /* sql */ `
  -- The keys that are not revoked, by project and accountable user, and of the whole organization where the user is null.
  -- Who creates a key holds the organization's row until the commit, so two creations never pass the limit together.
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

  INSERT INTO api_key_count (organization_id, accountable_user_id, project_id, keys)
  SELECT organization_id, accountable_user_id, project_id, count(*) FROM api_key WHERE revoked_at IS NULL
  GROUP BY GROUPING SETS ((organization_id), (organization_id, accountable_user_id, project_id));
`;

const INDEXES = /* sql */ `
  -- In the order in which the worker goes through the keys of a mass revocation.
  DROP INDEX api_key_project_id, api_key_accountable_user_id;
  CREATE INDEX api_key_project_id ON api_key (project_id, number) WHERE project_id IS NOT NULL;
  CREATE INDEX api_key_accountable_user_id ON api_key (accountable_user_id, organization_id, number);
  -- Whether a name is taken is asked at each creation by clients that know keys by name.
  CREATE INDEX api_key_name ON api_key (organization_id, name) WHERE revoked_at IS NULL;
  -- The few keys that operators list, of every organization.
  CREATE INDEX api_key_service ON api_key (id) WHERE scopes @> '{deployment:verify}' AND revoked_at IS NULL;
  -- A sign-in ends the oldest sessions, however many there have been.
  CREATE INDEX session_not_ended ON session (user_id, id) WHERE ended_at IS NULL;
`;

const GRANTS = /* sql */ `
  GRANT SELECT, INSERT ON api_key_revocation TO keyledger_api;
  GRANT SELECT, INSERT, UPDATE, DELETE ON api_key_count TO keyledger_api;

  GRANT SELECT, UPDATE (done_number), DELETE ON api_key_revocation TO keyledger_worker;
  GRANT UPDATE (revoked_at, updated_at, version) ON api_key TO keyledger_worker;
`;
