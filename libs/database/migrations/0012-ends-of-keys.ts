import { Migration } from '@mikro-orm/migrations';

/** Every expiry has its event, whatever became of the key afterwards; a limit that was removed is not forgotten at once. */
export class EndsOfKeys extends Migration {
  override up(): void {
    this.addSql(EXPIRIES);
    this.addSql(REMOVED_RATES);
    this.addSql(GRANTS);
  }
}

const EXPIRIES = /* sql */ `
  -- Of revoked keys as well: one that had expired before has an event that may still have to be written.
  DROP INDEX api_key_expires_at;
  CREATE INDEX api_key_expires_at ON api_key (expires_at) WHERE expires_at IS NOT NULL;
`;

const REMOVED_RATES = /* sql */ `
  -- What a limit that a key no longer has has counted, until its window has passed: adding it again continues the count.
  CREATE TABLE api_key_removed_rate (
    api_key_id uuid NOT NULL REFERENCES api_key,
    window_seconds int NOT NULL CHECK (window_seconds > 0),
    -- As in api_key_rate.
    newest bigint NOT NULL,
    counts int[] NOT NULL CHECK (cardinality(counts) = 61),
    PRIMARY KEY (api_key_id, window_seconds)
  );
`;

const GRANTS = /* sql */ `
  GRANT SELECT, INSERT, DELETE ON api_key_removed_rate TO keyledger_api;
`;
