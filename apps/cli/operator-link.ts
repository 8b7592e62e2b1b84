import type pg from 'pg';
import { newOneTimeToken, oneTimeLink } from '#libs/auth/one-time-token.js';
import { newId, toUuid } from '#libs/contract/ids.js';
import { withDatabase } from './database.js';

const HOURS = 24;
const APPLICATION = 'keyledger operator';

export interface OperatorLink {
  readonly url: string;
  readonly token: string;
  readonly expiresAt: Date;
}

/** Creates a one-time link that makes its user an operator. Writes to the database directly, without authorization. */
export function newOperatorLink(databaseUrl: string, publicUrl: string, email: string | null): Promise<OperatorLink> {
  return withDatabase(databaseUrl, APPLICATION, (client) => insertLink(client, publicUrl, email));
}

/** Returns a link only while there is no operator. Each start creates a link and revokes those of earlier starts. */
export function setUpLink(databaseUrl: string, publicUrl: string): Promise<OperatorLink | undefined> {
  return withDatabase(databaseUrl, APPLICATION, async (client) => {
    const { rowCount } = await client.query('SELECT FROM user_account WHERE operator_since IS NOT NULL LIMIT 1');
    if (rowCount !== 0) return undefined;
    await client.query(
      `UPDATE invitation SET revoked_at = now()
       WHERE organization_id IS NULL AND created_by IS NULL AND email IS NULL
         AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > now()`,
    );
    return insertLink(client, publicUrl, null);
  });
}

async function insertLink(client: pg.Client, publicUrl: string, email: string | null): Promise<OperatorLink> {
  const { token, hash } = newOneTimeToken('invite');
  const { rows } = await client.query<{ expires_at: Date }>(
    `INSERT INTO invitation (id, email, token_hash, created_at, expires_at)
     VALUES ($1, $2, $3, now(), now() + make_interval(hours => $4)) RETURNING expires_at`,
    [toUuid(newId('inv', new Date())), email, Buffer.from(hash), HOURS],
  );
  return { token, url: oneTimeLink(publicUrl, 'invitation', token), expiresAt: rows[0]!.expires_at };
}
