import { Migration } from '@mikro-orm/migrations';

/** What a key may take in a time, and what it has taken. */
export class RateLimits extends Migration {
  override up(): void {
    this.addSql(RATE_LIMITS);
    this.addSql(GRANTS);
  }
}

const RATE_LIMITS = /* sql */ `
  -- With a default, for nodes of the version before that make keys meanwhile.
  ALTER TABLE api_key ADD COLUMN rate_limits jsonb NOT NULL DEFAULT '[]';

  -- One row for each limit of a key. Admission reads and writes it; a change of the limit resets it or leaves it.
  CREATE TABLE api_key_rate (
    api_key_id uuid NOT NULL REFERENCES api_key,
    name text NOT NULL,
    quota int NOT NULL CHECK (quota > 0),
    window_seconds int NOT NULL CHECK (window_seconds > 0),
    -- The number of the newest sub-window, a sixtieth of the window, counted from 1970.
    newest bigint NOT NULL DEFAULT 0,
    -- What it and the sixty before it have let through, the oldest first: all that a window ending now can reach.
    counts int[] NOT NULL DEFAULT array_fill(0, ARRAY[61]) CHECK (cardinality(counts) = 61),
    PRIMARY KEY (api_key_id, name)
  ) WITH (fillfactor = 50);
`;

const GRANTS = /* sql */ `
  GRANT SELECT, INSERT, UPDATE, DELETE ON api_key_rate TO keyledger_api;
`;
