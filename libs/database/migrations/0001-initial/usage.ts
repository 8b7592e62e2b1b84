/** The worker's counts for each key. */
export const USAGE = /* sql */ `
  CREATE TABLE api_key_usage (
    api_key_id uuid PRIMARY KEY,
    uses bigint NOT NULL DEFAULT 0,
    denials bigint NOT NULL DEFAULT 0,
    last_used_at timestamptz,
    last_denied_at timestamptz
  );

  -- The endpoints of a key that are counted separately. Their number is bounded.
  CREATE TABLE api_key_endpoint (
    api_key_id uuid NOT NULL,
    -- Whether the surface is 'management'. Endpoints of both surfaces may have the same names.
    management boolean NOT NULL,
    -- First those for requests without an endpoint and for all other endpoints, and then in the order of the first uses.
    names text[] COLLATE "C" NOT NULL,
    PRIMARY KEY (api_key_id, management)
  -- With free space on each page, an update stays on its page and changes no index.
  ) WITH (fillfactor = 70);

  CREATE TABLE api_key_usage_hour (
    api_key_id uuid NOT NULL,
    -- The beginning of the hour, by the time of the events.
    hour timestamptz NOT NULL,
    -- 'valid', or the code of the denial.
    outcome text COLLATE "C" NOT NULL,
    management boolean NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid,
    -- For each of the key's endpoints, in the order of its names. NULL stands for 0, and takes no space.
    counts bigint[] NOT NULL,
    credits bigint[] NOT NULL,
    PRIMARY KEY (api_key_id, hour, outcome, management)
  ) WITH (fillfactor = 70);
  CREATE INDEX api_key_usage_hour_organization_id ON api_key_usage_hour (organization_id, hour);

  -- Whether any of these counts is less than before.
  CREATE FUNCTION counts_shrink(before bigint[], after bigint[]) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
  BEGIN
    FOR place IN 1..coalesce(cardinality(before), 0) LOOP
      IF before[place] > coalesce(after[place], 0) THEN RETURN true; END IF;
    END LOOP;
    RETURN false;
  END $$;

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
