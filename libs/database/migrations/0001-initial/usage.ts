/** The worker's counts for each key. */
export const USAGE = /* sql */ `
  CREATE TABLE api_key_usage (
    api_key_id uuid PRIMARY KEY,
    uses bigint NOT NULL DEFAULT 0,
    denials bigint NOT NULL DEFAULT 0,
    last_used_at timestamptz,
    last_denied_at timestamptz
  );

  CREATE TABLE api_key_usage_hour (
    api_key_id uuid NOT NULL,
    -- The beginning of the hour, by the time of the events.
    hour timestamptz NOT NULL,
    -- 'valid', or the code of the denial.
    outcome text COLLATE "C" NOT NULL,
    endpoint text COLLATE "C" NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid,
    count bigint NOT NULL,
    credits bigint NOT NULL,
    -- Whether the surface is 'management'. Endpoints of both surfaces may have the same names.
    management boolean NOT NULL,
    PRIMARY KEY (api_key_id, hour, outcome, endpoint, management)
  -- With free space on each page, an update of a count stays on its page and changes no index.
  ) WITH (fillfactor = 70);
  CREATE INDEX api_key_usage_hour_organization_id ON api_key_usage_hour (organization_id, hour);

  -- The endpoints of a key that are counted separately. Their number is bounded.
  CREATE TABLE api_key_endpoint (
    api_key_id uuid NOT NULL,
    endpoint text COLLATE "C" NOT NULL,
    management boolean NOT NULL,
    PRIMARY KEY (api_key_id, endpoint, management)
  );

  CREATE TABLE api_key_secret_usage (
    secret_id uuid PRIMARY KEY,
    last_used_at timestamptz NOT NULL
  ) WITH (fillfactor = 70);

  -- The verifications for which a key asked. The events are in the shards of the verified keys, so several jobs count
  -- them at once: each shard group has its own row, and readers add them up.
  CREATE TABLE api_key_verifications (
    api_key_id uuid NOT NULL,
    -- The secret with which the key asked.
    secret_id uuid NOT NULL,
    ingest_group smallint NOT NULL,
    count bigint NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (api_key_id, secret_id, ingest_group)
  ) WITH (fillfactor = 50);
  CREATE INDEX api_key_verifications_secret_id ON api_key_verifications (secret_id);
`;
