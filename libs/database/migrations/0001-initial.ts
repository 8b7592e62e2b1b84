import { Migration } from '@mikro-orm/migrations';
import { ACCOUNTS, IDEMPOTENCY, INVITATIONS, PROJECTS } from './0001-initial/accounts.js';
import { API_KEYS, CREDITS, DISABLE_KEYS, KEY_COUNTS, MASS_REVOCATION, RATE_LIMITS } from './0001-initial/api-keys.js';
import { AUDIT_HEADS } from './0001-initial/audit-heads.js';
import { AUDIT_EPOCH, AUDIT_LOG, AUDIT_LOG_APPEND_ONLY, AUDIT_LOG_FUNCTIONS } from './0001-initial/audit-log.js';
import { AUDIT_RETENTION, AUDIT_RETENTION_FUNCTIONS } from './0001-initial/audit-retention.js';
import { EVENTS } from './0001-initial/events.js';
import { NEVER_BACK } from './0001-initial/never-back.js';
import { RIGHTS } from './0001-initial/rights.js';
import { USAGE } from './0001-initial/usage.js';

/**
 * Creates the whole schema. It runs as `keyledger_owner`, a role without login. The roles of the serving processes own
 * nothing, and have only the rights that are granted here.
 */
export class Initial extends Migration {
  override up(): void {
    const statements = [
      ACCOUNTS,
      PROJECTS,
      INVITATIONS,
      IDEMPOTENCY,
      API_KEYS,
      RATE_LIMITS,
      MASS_REVOCATION,
      KEY_COUNTS,
      CREDITS,
      USAGE,
      EVENTS,
      DISABLE_KEYS,
      AUDIT_LOG,
      AUDIT_RETENTION,
      AUDIT_LOG_APPEND_ONLY,
      AUDIT_LOG_FUNCTIONS,
      AUDIT_RETENTION_FUNCTIONS,
      AUDIT_EPOCH,
      AUDIT_HEADS,
      ...NEVER_BACK,
      RIGHTS,
    ];
    for (const statement of statements) this.addSql(statement);
  }
}
