/*
 * SQL for all queries that ask whether a key is revoked. A key is revoked if its row says so, or if an unfinished mass
 * revocation covers it. The SQL function `pending_revocations` defines which keys a mass revocation covers.
 */

/** @param key the alias of `api_key` in the query */
export function revokedAt(key: string): string {
  return `coalesce(${key}.revoked_at, (SELECT min(r.revoked_at) FROM ${pendingRevocations(key)} r))`;
}

/** @param key the alias of `api_key` in the query */
export function isNotRevoked(key: string): string {
  return `(${key}.revoked_at IS NULL AND NOT EXISTS (SELECT FROM ${pendingRevocations(key)}))`;
}

function pendingRevocations(key: string): string {
  return `pending_revocations(${key}.organization_id, ${key}.project_id, ${key}.accountable_user_id, ${key}.number)`;
}
