/** Organizations, users, members, sessions. */
export const ACCOUNTS = /* sql */ `
  CREATE TABLE organization (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    personal boolean NOT NULL,
    -- The last four bits of the id, as shardOf() has it.
    shard smallint NOT NULL GENERATED ALWAYS AS (get_byte(uuid_send(id), 15) & 15) STORED,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    suspended_at timestamptz,
    -- What its keys reach at the most; null for no limit.
    scope_ceiling text[],
    -- Counts its changes: If-Match compares it.
    version integer NOT NULL
  );
  -- The deployment itself. Its log has what belongs to no customer: failed sign-ins of unknown accounts, what operators do.
  INSERT INTO organization (id, name, personal, created_at, updated_at, version)
  VALUES ('00000000-0000-0000-0000-000000000000', 'Deployment', false, now(), now(), 1);

  CREATE TABLE user_account (
    id uuid PRIMARY KEY,
    email text NOT NULL UNIQUE,
    name text NOT NULL,
    password_hash text NOT NULL,
    personal_organization_id uuid NOT NULL REFERENCES organization,
    created_at timestamptz NOT NULL,
    -- Since when the user is one of the deployment's operators.
    operator_since timestamptz
  );
  CREATE INDEX user_account_operator ON user_account (id) WHERE operator_since IS NOT NULL;

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
  -- A sign-in ends the oldest sessions, however many there have been.
  CREATE INDEX session_not_ended ON session (user_id, id) WHERE ended_at IS NULL;

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
    -- Sealed with KEYLEDGER_SECRET. The public key follows from it.
    private_key bytea NOT NULL,
    created_at timestamptz NOT NULL
  );

  CREATE TABLE login_delay (
    bucket text PRIMARY KEY,
    failures integer NOT NULL,
    next_attempt_at timestamptz NOT NULL
  );
`;

export const PROJECTS = /* sql */ `
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
`;

/** One-time links for new members and operators. */
export const INVITATIONS = /* sql */ `
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
`;

/** Calls that a client may repeat. */
export const IDEMPOTENCY = /* sql */ `
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
