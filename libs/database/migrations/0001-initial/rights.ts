/** The rights of the serving processes' roles. */
export const RIGHTS = /* sql */ `
  GRANT SELECT, INSERT ON signing_key, credit_grant TO keyledger_api;
  GRANT SELECT, INSERT, DELETE ON token_signing_key TO keyledger_api;
  GRANT SELECT, INSERT, UPDATE ON
    organization, user_account, membership, session, refresh_token, project, invitation, password_reset,
    api_key, api_key_secret TO keyledger_api;
  GRANT DELETE ON membership TO keyledger_api;
  GRANT SELECT, INSERT, UPDATE, DELETE ON login_delay, idempotency_key, credit, api_key_rate, api_key_count TO keyledger_api;
  GRANT SELECT, INSERT, DELETE ON api_key_removed_rate TO keyledger_api;
  GRANT SELECT, INSERT ON api_key_revocation TO keyledger_api;
  GRANT SELECT ON
    api_key_usage, api_key_endpoint, api_key_usage_hour, api_key_secret_usage, api_key_verifications TO keyledger_api;
  GRANT SELECT, UPDATE ON authz_state TO keyledger_api;
  GRANT SELECT, INSERT ON authz_change, outbox TO keyledger_api;
  GRANT SELECT, UPDATE (requeued_at) ON event_quarantine TO keyledger_api;
  GRANT SELECT ON
    audit_log, audit_segment, audit_bundle, audit_body, audit_kept_tile, audit_tree_node, audit_management_event
    TO keyledger_api, keyledger_worker;
  GRANT SELECT, INSERT, UPDATE ON audit_retention TO keyledger_api;
  GRANT SELECT, INSERT ON audit_signed_bundle TO keyledger_api;
  GRANT SELECT, INSERT, UPDATE (index) ON audit_anchored_bundle TO keyledger_api;
  GRANT SELECT ON audit_signed_bundle, audit_anchored_bundle TO keyledger_worker;

  GRANT SELECT, INSERT (number, anchor_id), UPDATE (origin, anchor_sequence) ON audit_epoch TO keyledger_api;
  GRANT SELECT, INSERT, UPDATE (private_key, ends_at, compromised) ON audit_signing_key TO keyledger_api;
  GRANT SELECT ON audit_head, audit_head_node TO keyledger_api;
  GRANT SELECT, INSERT (epoch, asked_at), UPDATE (asked_at, cosigned, cosigned_size, cosigned_at) ON audit_heads TO keyledger_api;
  GRANT SELECT, INSERT, UPDATE (size, cosigned_at, cosignature, failure, failed_at) ON audit_witness TO keyledger_api;
  GRANT EXECUTE ON FUNCTION append_audit_heads TO keyledger_api;

  -- At start, a process checks the version of the schema.
  GRANT SELECT ON migration TO keyledger_api, keyledger_worker;

  -- Ingestion.
  GRANT SELECT, UPDATE ON ingest TO keyledger_worker;
  GRANT SELECT, INSERT, DELETE ON outbox TO keyledger_worker;
  GRANT SELECT, INSERT ON event_quarantine TO keyledger_worker;
  GRANT SELECT, INSERT, UPDATE ON
    api_key_usage, api_key_endpoint, api_key_usage_hour, api_key_secret_usage, api_key_verifications TO keyledger_worker;
  -- A query that names a partition needs rights on that partition.
  GRANT SELECT ON audit_body_default TO keyledger_worker;
  GRANT EXECUTE ON FUNCTION lock_audit_logs, append_to_audit_logs, append_management_events, ensure_audit_partitions,
    prunable_audit_logs, keep_audit_tile, prune_audit_log, erase_pruned_audit_entries, drop_pruned_audit_partition
    TO keyledger_worker;
  -- Expiry notices and mass revocation.
  GRANT SELECT ON api_key, authz_state TO keyledger_worker;
  GRANT SELECT, INSERT ON api_key_notice TO keyledger_worker;
  GRANT UPDATE (revoked_at, updated_at, version) ON api_key TO keyledger_worker;
  -- Unused keys. The worker cannot enable a key.
  GRANT SELECT (id, suspended_at, key_policy, unused_checked_at), UPDATE (unused_checked_at) ON organization TO keyledger_worker;
  GRANT EXECUTE ON FUNCTION disable_api_keys TO keyledger_worker;
  GRANT SELECT, UPDATE (done_number), DELETE ON api_key_revocation TO keyledger_worker;
  -- Upkeep.
  GRANT SELECT, DELETE ON authz_change, idempotency_key, login_delay TO keyledger_worker;
`;
