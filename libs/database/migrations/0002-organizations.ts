import { Migration } from '@mikro-orm/migrations';
import { generateToken } from '#libs/api-key-format/token.js';

/** Organizations with members, projects and operators; what limits a key beyond its scopes; calls that may be repeated. */
export class Organizations extends Migration {
  override async up(): Promise<void> {
    this.addSql(ORGANIZATIONS);
    this.addSql(API_KEYS);
    for (const { id, environment } of await this.#earlierKeys()) {
      this.addSql(`UPDATE api_key SET public_key = '${generateToken(`pk_${environment}`)}' WHERE id = '${id}'`);
    }
    this.addSql('ALTER TABLE api_key ALTER COLUMN public_key SET NOT NULL');
    this.addSql(GRANTS);
  }

  /** None on a new database. Nobody may make one meanwhile: it would be left without a public key. */
  async #earlierKeys(): Promise<{ id: string; environment: string }[]> {
    await this.execute('LOCK TABLE api_key IN ACCESS EXCLUSIVE MODE');
    return (await this.execute('SELECT id, environment FROM api_key')) as { id: string; environment: string }[];
  }
}

const ORGANIZATIONS = /* sql */ `
  ALTER TABLE organization
    ADD COLUMN updated_at timestamptz,
    ADD COLUMN suspended_at timestamptz,
    -- What its keys reach at the most; null for no limit.
    ADD COLUMN scope_ceiling text[],
    -- Counts its changes: what If-Match compares.
    ADD COLUMN version integer NOT NULL DEFAULT 1;
  UPDATE organization SET updated_at = created_at;
  ALTER TABLE organization ALTER COLUMN updated_at SET NOT NULL, ALTER COLUMN version DROP DEFAULT;

  ALTER TABLE user_account ADD COLUMN operator_since timestamptz;
  CREATE INDEX user_account_operator ON user_account (id) WHERE operator_since IS NOT NULL;

  -- It follows from the private key, which alone shows that it is of our making.
  ALTER TABLE signing_key DROP COLUMN public_key;

  CREATE TABLE project (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organization,
    name text NOT NULL,
    description text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    version integer NOT NULL
  );
  CREATE INDEX project_organization_id ON project (organization_id, id) WHERE deleted_at IS NULL;

  CREATE TABLE invitation (
    id uuid PRIMARY KEY,
    -- Null, as the role is, for an invitation to the deployment's own staff.
    organization_id uuid REFERENCES organization,
    role text CHECK (role IN ('owner', 'admin', 'developer', 'auditor', 'viewer')),
    email text,
    token_hash bytea NOT NULL UNIQUE,
    created_by uuid REFERENCES user_account,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    revoked_at timestamptz,
    CHECK ((organization_id IS NULL) = (role IS NULL))
  );
  CREATE INDEX invitation_organization_id ON invitation (organization_id, id)
    WHERE accepted_at IS NULL AND revoked_at IS NULL;

  CREATE TABLE password_reset (
    token_hash bytea PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES user_account,
    created_by uuid NOT NULL REFERENCES user_account,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
  );
  CREATE INDEX password_reset_created_by ON password_reset (created_by) WHERE used_at IS NULL;
  CREATE INDEX password_reset_user_id ON password_reset (user_id) WHERE used_at IS NULL;

  CREATE TABLE idempotency_key (
    -- The id of the user or key that calls.
    caller text NOT NULL,
    key text NOT NULL,
    -- SHA-256 of the request.
    fingerprint bytea NOT NULL,
    -- Which of several tries at the same call may still make the change.
    attempt uuid NOT NULL,
    -- Null until the change has been made, which stores it.
    response jsonb,
    -- What the change required of its caller: checked again before the response is repeated. Stored with the response.
    requirements jsonb,
    started_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, key)
  );
  CREATE INDEX idempotency_key_started_at ON idempotency_key (started_at);
`;

const API_KEYS = /* sql */ `
  ALTER TABLE api_key
    ADD COLUMN project_id uuid REFERENCES project,
    ADD COLUMN public_key text UNIQUE,
    ADD COLUMN allowed_domains text[] NOT NULL DEFAULT '{}',
    ADD COLUMN allowed_ips text[] NOT NULL DEFAULT '{}',
    -- The person behind it: who made it, or who stands behind the key that made it.
    ADD COLUMN accountable_user_id uuid REFERENCES user_account,
    -- Made by somebody who manages their own keys only, so it manages no others either.
    ADD COLUMN own_keys_only boolean NOT NULL DEFAULT false;
  WITH RECURSIVE behind AS (
    SELECT id, created_by_id AS user_id FROM api_key WHERE created_by_type = 'user'
    UNION ALL
    SELECT k.id, b.user_id FROM api_key k JOIN behind b ON k.created_by_type = 'api_key' AND k.created_by_id = b.id
  )
  UPDATE api_key SET accountable_user_id = behind.user_id FROM behind WHERE behind.id = api_key.id;
  ALTER TABLE api_key
    ALTER COLUMN accountable_user_id SET NOT NULL,
    ALTER COLUMN allowed_domains DROP DEFAULT,
    ALTER COLUMN allowed_ips DROP DEFAULT,
    ALTER COLUMN own_keys_only DROP DEFAULT;
  CREATE INDEX api_key_project_id ON api_key (project_id) WHERE project_id IS NOT NULL;
  CREATE INDEX api_key_accountable_user_id ON api_key (accountable_user_id, organization_id);

  ALTER TABLE audit_event ADD COLUMN project_id uuid;
  CREATE INDEX audit_event_project ON audit_event (project_id, leaf_index) WHERE project_id IS NOT NULL;
`;

const GRANTS = /* sql */ `
  GRANT UPDATE ON organization TO keyledger_api;
  GRANT DELETE ON membership TO keyledger_api;
  GRANT SELECT, INSERT, UPDATE ON project, invitation, password_reset TO keyledger_api;
  GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_key TO keyledger_api;
  GRANT SELECT, DELETE ON idempotency_key TO keyledger_worker;
`;
