import { Migration } from '@mikro-orm/migrations';

/** Calls of Keyledger's own API are counted apart from the requests to the owner's; verifications count for who asked. */
export class Surfaces extends Migration {
  override up(): void {
    this.addSql(SURFACES);
    this.addSql(VERIFICATIONS);
    this.addSql(GRANTS);
  }
}

/** What was counted before, whichever it was, stays with the requests to the owner's API. */
const SURFACES = /* sql */ `
  -- Whether Keyledger's own API was called. The endpoints of the two may have the same names.
  ALTER TABLE api_key_usage_hour
    ADD COLUMN management boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT api_key_usage_hour_pkey,
    ADD PRIMARY KEY (api_key_id, hour, outcome, endpoint, management);
  ALTER TABLE api_key_endpoint
    ADD COLUMN management boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT api_key_endpoint_pkey,
    ADD PRIMARY KEY (api_key_id, endpoint, management);
`;

const VERIFICATIONS = /* sql */ `
  -- What a key asked about the keys of others. Their shards have several writers, and this key none of its own: each
  -- writer has a row, and readers add them up.
  CREATE TABLE api_key_verifications (
    api_key_id uuid NOT NULL,
    -- The secret that it showed.
    secret_id uuid NOT NULL,
    ingest_group smallint NOT NULL,
    count bigint NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (api_key_id, secret_id, ingest_group)
  ) WITH (fillfactor = 50);
  CREATE INDEX api_key_verifications_secret_id ON api_key_verifications (secret_id);
`;

const GRANTS = /* sql */ `
  GRANT SELECT ON api_key_verifications TO keyledger_api;
  GRANT SELECT, INSERT, UPDATE ON api_key_verifications TO keyledger_worker;
`;
