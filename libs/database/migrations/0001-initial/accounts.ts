/** Organizations, users, members, sessions. */
export const ACCOUNTS = /* sql */ `
  CREATE TABLE organization (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    personal boolean NOT NULL,
    -- The last four bits of the id, as in shardOf().
    shard smallint NOT NULL GENERATED ALWAYS AS (get_byte(uuid_send(id), 15) & 15) STORED,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    suspended_at timestamptz,
    -- The scope ceiling of its keys; null for none.
    scope_ceiling text[],
    -- What happens to a key that is reported as leaked.
    leak_policy text NOT NULL DEFAULT 'revoke_live' CHECK (leak_policy IN ('revoke', 'revoke_live', 'report')),
    -- What every key must keep to: KeyPolicy in libs/contract/key-policy.ts.
    key_policy jsonb NOT NULL DEFAULT '{"require_expiry": false, "max_lifetime_days": null, "environments": null,
      "allowed_ips": null, "disable_unused_after_days": null, "disable_unused_from": null}',
    -- When the worker last looked for unused keys that the policy disables.
    unused_checked_at timestamptz,
    -- Counts the changes of the row. If-Match compares it.
    version integer NOT NULL
  );
  CREATE INDEX organization_unused_checked_at ON organization (unused_checked_at NULLS FIRST)
    WHERE key_policy->>'disable_unused_after_days' IS NOT NULL;
  -- The deployment itself. Its audit log has the events that belong to no customer: failed sign-ins to unknown
  -- accounts, and the actions of operators.
  INSERT INTO organization (id, name, personal, created_at, updated_at, version)
  VALUES ('00000000-0000-0000-0000-000000000000', 'Deployment', false, now(), now(), 1);

  CREATE TABLE user_account (
    id uuid PRIMARY KEY,
    email text NOT NULL UNIQUE,
    name text NOT NULL,
    password_hash text NOT NULL,
    personal_organization_id uuid NOT NULL REFERENCES organization,
    created_at timestamptz NOT NULL,
    -- When the user became an operator; null for other users.
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
  -- A sign-in finds the oldest open sessions by it, however many have ended.
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
    -- Sealed with KEYLEDGER_SECRET. The public key is derived from it.
    private_key bytea NOT NULL,
    created_at timestamptz NOT NULL
  );

  -- Signs the tokens for which keys are exchanged, never access tokens.
  CREATE TABLE token_signing_key (
    id text PRIMARY KEY,
    -- Sealed with KEYLEDGER_SECRET. The public key is derived from it.
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
  -- The audit log finds deleted objects by their names.
  CREATE INDEX project_deleted ON project (organization_id) WHERE deleted_at IS NOT NULL;
`;

/** One-time links for new members, new operators and new passwords. */
export const INVITATIONS = /* sql */ `
  CREATE TABLE invitation (
    id uuid PRIMARY KEY,
    -- The organization and the role are null for the invitation of an operator.
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

/** Calls with an Idempotency-Key, which a client may repeat. */
export const IDEMPOTENCY = /* sql */ `
  CREATE TABLE idempotency_key (
    -- The id of the calling user or key.
    caller text NOT NULL,
    key text NOT NULL,
    -- SHA-256 of the request, with the defaults.
    fingerprint bytea NOT NULL,
    -- The defaults of the body at the first call. They follow from the caller and the settings.
    defaults jsonb NOT NULL,
    -- Identifies the attempt that may make the change, if the client sent the call several times.
    attempt uuid NOT NULL,
    -- Null until the transaction of the change stores it.
    response jsonb,
    -- The requirements that the caller had to meet, stored with the response and checked again before it is repeated.
    requirements jsonb,
    started_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, key)
  );
  CREATE INDEX idempotency_key_started_at ON idempotency_key (started_at);
`;
