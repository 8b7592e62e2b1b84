import { Migration } from '@mikro-orm/migrations';

/** The log of the deployment itself; public keys that may be used alone; credits. */
export class Credits extends Migration {
  override up(): void {
    this.addSql(DEPLOYMENT_LOG);
    this.addSql(PUBLIC_KEYS);
    this.addSql(CREDITS);
    this.addSql(GRANTS);
  }
}

const DEPLOYMENT_LOG = /* sql */ `
  -- What belongs to no customer: failed sign-ins of unknown accounts, what operators do. A log like every other.
  INSERT INTO organization (id, name, personal, created_at, updated_at, version)
  VALUES ('00000000-0000-0000-0000-000000000000', 'Deployment', false, now(), now(), 1);
`;

const PUBLIC_KEYS = /* sql */ `
  -- What the public key alone reaches; null for what follows from the scopes and the allowed domains.
  ALTER TABLE api_key ADD COLUMN public_scopes text[];
  -- A preflight of a browser asks whether any key allows an origin.
  CREATE INDEX api_key_allowed_domains ON api_key USING gin (allowed_domains)
    WHERE revoked_at IS NULL AND disabled_at IS NULL AND allowed_domains <> '{}';
`;

const CREDITS = /* sql */ `
  -- The prepaid balance of an organization; one without a row is not metered.
  CREATE TABLE credit (
    organization_id uuid PRIMARY KEY REFERENCES organization,
    balance bigint NOT NULL CHECK (balance >= 0),
    -- Falling below it is told of, once for each time.
    low_below bigint NOT NULL
  ) WITH (fillfactor = 50);

  -- What was added to a balance, or set it aside, and by whom.
  CREATE TABLE credit_grant (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organization,
    amount bigint NOT NULL,
    balance_after bigint NOT NULL,
    reason text,
    granted_by uuid REFERENCES user_account,
    created_at timestamptz NOT NULL
  );
  CREATE INDEX credit_grant_organization_id ON credit_grant (organization_id, id);
`;

const GRANTS = /* sql */ `
  GRANT SELECT, INSERT, UPDATE, DELETE ON credit TO keyledger_api;
  GRANT SELECT, INSERT ON credit_grant TO keyledger_api;
  -- For the worker's upkeep: what slows down whom is forgotten when it is over.
  GRANT SELECT, DELETE ON login_delay TO keyledger_worker;
`;
