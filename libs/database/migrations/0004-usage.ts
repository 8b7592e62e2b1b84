import { Migration } from '@mikro-orm/migrations';

/** What was counted of each key in each hour. */
export class Usage extends Migration {
  override up(): void {
    this.addSql(USAGE);
    this.addSql(GRANTS);
  }
}

const USAGE = /* sql */ `
  CREATE TABLE api_key_usage_hour (
    api_key_id uuid NOT NULL,
    -- Its beginning, by the events' own time.
    hour timestamptz NOT NULL,
    -- 'valid', or the code of the denial.
    outcome text COLLATE "C" NOT NULL,
    endpoint text COLLATE "C" NOT NULL,
    organization_id uuid NOT NULL,
    project_id uuid,
    count bigint NOT NULL,
    credits bigint NOT NULL,
    PRIMARY KEY (api_key_id, hour, outcome, endpoint)
  -- With room on each page a row is counted up where it lies, and no index is touched.
  ) WITH (fillfactor = 70);
  CREATE INDEX api_key_usage_hour_organization_id ON api_key_usage_hour (organization_id, hour);

  -- The endpoints of a key that are counted apart; their number is bounded.
  CREATE TABLE api_key_endpoint (
    api_key_id uuid NOT NULL,
    endpoint text COLLATE "C" NOT NULL,
    PRIMARY KEY (api_key_id, endpoint)
  );
`;

const GRANTS = /* sql */ `
  GRANT SELECT ON api_key_usage_hour TO keyledger_api;
  GRANT SELECT, INSERT, UPDATE ON api_key_usage_hour TO keyledger_worker;
  GRANT SELECT, INSERT ON api_key_endpoint TO keyledger_worker;
`;
