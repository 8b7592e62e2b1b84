import { Migration } from '@mikro-orm/migrations';

/** When each secret was used last: a rotation with grace is over when nobody uses the older one any more. */
export class SecretUsage extends Migration {
  override up(): void {
    this.addSql(SECRET_USAGE);
    this.addSql(GRANTS);
  }
}

const SECRET_USAGE = /* sql */ `
  CREATE TABLE api_key_secret_usage (
    secret_id uuid PRIMARY KEY,
    last_used_at timestamptz NOT NULL
  ) WITH (fillfactor = 70);
`;

const GRANTS = /* sql */ `
  GRANT SELECT ON api_key_secret_usage TO keyledger_api;
  GRANT SELECT, INSERT, UPDATE ON api_key_secret_usage TO keyledger_worker;
`;
