/*
 * Rows that the roles of the serving processes may update in one direction only: counts grow, and what has ended stays
 * ended. A trigger covers every statement that changes a row, including MERGE and ON CONFLICT.
 */

interface Rule {
  readonly table: string;
  readonly on: 'INSERT' | 'UPDATE' | 'DELETE';
  /**
   * The trigger rejects the change if this holds. PostgreSQL evaluates it before it calls the trigger, so that other
   * changes cost next to nothing.
   */
  readonly when: string;
  readonly message: string;
}

/** The identity of a row must not change: these columns keep their values. */
function isChanged(...columns: readonly string[]): string {
  return `(${columns.map((column) => `NEW.${column}`).join(', ')}) IS DISTINCT FROM (${columns.map((column) => `OLD.${column}`).join(', ')})`;
}

const isTakenBack = (column: string) => `(OLD.${column} IS NOT NULL AND NEW.${column} IS NULL)`;

const RULES: readonly Rule[] = [
  { table: 'audit_log', on: 'INSERT', when: 'NEW.size <> 0', message: 'an audit log begins empty' },
  {
    table: 'audit_log',
    on: 'UPDATE',
    when: `NEW.size < OLD.size OR NEW.minimum_index < OLD.minimum_index OR NEW.erased_index < OLD.erased_index
      OR ${isChanged('organization_id')}`,
    message: 'the size of an audit log only grows',
  },
  { table: 'audit_log', on: 'DELETE', when: 'true', message: 'the size of an audit log only grows' },
  {
    table: 'audit_epoch',
    on: 'UPDATE',
    when: `${isChanged('number', 'anchor_id')} OR NEW.anchor_sequence < OLD.anchor_sequence
      OR (OLD.origin IS NOT NULL AND ${isChanged('origin')})`,
    message: 'an epoch keeps its origin and its anchor',
  },
  {
    table: 'audit_signing_key',
    on: 'UPDATE',
    when: `${isChanged('epoch', 'number', 'public_key')}
      OR (NEW.private_key IS NOT NULL AND ${isChanged('private_key')})
      OR (OLD.ends_at IS NOT NULL AND (NEW.ends_at IS NULL OR NEW.ends_at > OLD.ends_at))
      OR (OLD.compromised AND NOT NEW.compromised)`,
    message: 'a key that stops signing never signs again',
  },
  {
    table: 'audit_heads',
    on: 'UPDATE',
    when: `${isChanged('epoch')} OR NEW.size < OLD.size OR NEW.cosigned_size < OLD.cosigned_size`,
    message: 'the log of heads only grows',
  },
  {
    table: 'audit_witness',
    on: 'UPDATE',
    when: `${isChanged('epoch', 'vkey')} OR NEW.size < OLD.size`,
    message: 'a witness cosigns larger trees only',
  },
  {
    table: 'audit_retention',
    on: 'UPDATE',
    when: isChanged('organization_id'),
    message: 'a retention stays that of its organization',
  },
  {
    table: 'audit_anchored_bundle',
    on: 'UPDATE',
    when: isChanged('organization_id'),
    message: 'an anchored tree stays that of its log',
  },
  {
    table: 'authz_state',
    on: 'UPDATE',
    when: `NEW.seq <= OLD.seq OR NEW.tag = OLD.tag OR ${isChanged('shard')}`,
    message: 'an authorization state only moves on, under a new tag',
  },
  {
    table: 'authz_change',
    on: 'DELETE',
    // The worker's upkeep deletes changes after an hour.
    when: `OLD.created_at > now() - interval '30 minutes'`,
    message: 'nodes still need this change',
  },
  { table: 'ingest', on: 'UPDATE', when: isChanged('shard'), message: 'the shards are fixed' },
  {
    table: 'event_quarantine',
    on: 'UPDATE',
    when: `OLD.requeued_at IS NOT NULL OR ${isChanged('id', 'shard', 'version', 'body', 'events')}`,
    message: 'a record is put back once',
  },
  {
    table: 'api_key',
    on: 'UPDATE',
    when: `${isChanged('id', 'organization_id', 'accountable_user_id', 'number')}
      OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at)
      OR ${isTakenBack('deleted_at')}
      -- A minute is more than the difference between the clocks of an API node and the server.
      OR (OLD.expires_at < now() - interval '1 minute' AND NEW.expires_at IS DISTINCT FROM OLD.expires_at)`,
    message: 'a key that has ended stays ended',
  },
  {
    table: 'api_key_secret',
    on: 'UPDATE',
    when: `${isChanged('id', 'api_key_id', 'handle')}
      OR (OLD.ended_at IS NOT NULL AND (NEW.ended_at IS NULL OR NEW.ended_at > OLD.ended_at))`,
    message: 'a secret that has ended stays ended',
  },
  {
    table: 'session',
    on: 'UPDATE',
    when: `${isChanged('id', 'user_id')} OR NEW.expires_at > OLD.expires_at OR ${isTakenBack('ended_at')}`,
    message: 'a session that has ended stays ended',
  },
  {
    table: 'refresh_token',
    on: 'UPDATE',
    when: `${isChanged('hash', 'session_id')} OR ${isTakenBack('used_at')}`,
    message: 'a refresh token that was used stays used',
  },
  {
    table: 'invitation',
    on: 'UPDATE',
    when: `${isChanged('id', 'organization_id', 'role', 'token_hash')} OR NEW.expires_at > OLD.expires_at
      OR ${isTakenBack('accepted_at')} OR ${isTakenBack('revoked_at')}`,
    message: 'an invitation that has ended stays ended',
  },
  {
    table: 'password_reset',
    on: 'UPDATE',
    when: `${isChanged('token_hash', 'user_id')} OR NEW.expires_at > OLD.expires_at OR ${isTakenBack('used_at')}`,
    message: 'a password link that was used stays used',
  },
  {
    table: 'project',
    on: 'UPDATE',
    when: `${isChanged('id', 'organization_id')} OR ${isTakenBack('deleted_at')}`,
    message: 'a project that was deleted stays deleted',
  },
  {
    table: 'organization',
    on: 'UPDATE',
    when: isChanged('id', 'personal', 'created_at'),
    message: 'an organization stays the same one',
  },
  {
    table: 'user_account',
    on: 'UPDATE',
    when: isChanged('id', 'personal_organization_id', 'created_at'),
    message: 'an account stays the same one',
  },
  {
    table: 'membership',
    on: 'UPDATE',
    when: isChanged('organization_id', 'user_id'),
    message: 'a membership stays the same one',
  },
  {
    table: 'credit',
    on: 'UPDATE',
    when: isChanged('organization_id'),
    message: 'a balance stays that of its organization',
  },
  {
    table: 'api_key_usage',
    on: 'UPDATE',
    when: `${isChanged('api_key_id')} OR NEW.uses < OLD.uses OR NEW.denials < OLD.denials
      OR NEW.last_used_at < OLD.last_used_at OR NEW.last_denied_at < OLD.last_denied_at
      OR ${isTakenBack('last_used_at')} OR ${isTakenBack('last_denied_at')}`,
    message: 'usage only grows',
  },
  {
    table: 'api_key_usage_hour',
    on: 'UPDATE',
    when: `${isChanged('api_key_id', 'hour', 'outcome', 'management', 'organization_id', 'project_id')}
      OR counts_shrink(OLD.counts, NEW.counts) OR counts_shrink(OLD.credits, NEW.credits)`,
    message: 'usage only grows',
  },
  {
    table: 'api_key_endpoint',
    on: 'UPDATE',
    when: `${isChanged('api_key_id', 'management')} OR NEW.names[:cardinality(OLD.names)] IS DISTINCT FROM OLD.names`,
    message: 'an endpoint keeps its place',
  },
  {
    table: 'api_key_verifications',
    on: 'UPDATE',
    when: `${isChanged('api_key_id', 'secret_id', 'ingest_group')} OR NEW.count < OLD.count OR NEW.last_at < OLD.last_at`,
    message: 'usage only grows',
  },
  {
    table: 'api_key_revocation',
    on: 'UPDATE',
    when: `${isChanged('id', 'organization_id', 'subject', 'last_number', 'revoked_at')} OR NEW.done_number < OLD.done_number`,
    message: 'a mass revocation only goes on',
  },
  {
    table: 'api_key_secret_usage',
    on: 'UPDATE',
    when: `${isChanged('secret_id')} OR NEW.last_used_at < OLD.last_used_at`,
    message: 'usage only grows',
  },
];

const REFUSE = /* sql */ `
  CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    RAISE EXCEPTION '%: %', TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'insufficient_privilege';
  END $$;
`;

/** ALWAYS: `session_replication_role` cannot disable the trigger. */
function protect({ table, on, when, message }: Rule): string {
  const name = `never_back_${on.toLowerCase()}`;
  return /* sql */ `
    CREATE TRIGGER ${name} BEFORE ${on} ON ${table} FOR EACH ROW WHEN (${when})
      EXECUTE FUNCTION refuse_change('${message}');
    ALTER TABLE ${table} ENABLE ALWAYS TRIGGER ${name};
  `;
}

/** The statements that create the triggers. */
export const NEVER_BACK: readonly string[] = [REFUSE, ...RULES.map(protect)];
