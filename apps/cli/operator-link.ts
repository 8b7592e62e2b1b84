import type pg from 'pg';
import { newOneTimeToken, oneTimeLink } from '#libs/auth/one-time-token.js';
import { fromUuid, newId, toUuid } from '#libs/contract/ids.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { Events, type EncodedType, type NewEvent } from '#libs/outbox/event.js';
import { DatabaseClock } from '#libs/platform/clock.js';
import { readConfigWithoutDatabase } from '#libs/platform/config.js';
import { PersonalData } from '#libs/platform/personal-data.js';
import { withDatabase } from './database.js';
import { recordOwnEvents } from '#libs/outbox/own-events.js';

const HOURS = 24;
const APPLICATION = 'keyledger operator';

export interface OperatorLink {
  readonly url: string;
  readonly token: string;
  readonly expiresAt: Date;
}

/**
 * Creates a one-time link that makes its user an operator. Writes to the database directly, without authorization. The
 * audit log of the deployment has an event of each link, without an actor.
 * @param env the settings of the deployment
 */
export function newOperatorLink(
  databaseUrl: string,
  publicUrl: string,
  email: string | null,
  env: NodeJS.ProcessEnv = {},
): Promise<OperatorLink> {
  return withDatabase(databaseUrl, APPLICATION, (client) =>
    inTransaction(client, () => insertLink(client, publicUrl, email, env)),
  );
}

/** Returns a link only while there is no operator. Each start creates a link and revokes those of earlier starts. */
export function setUpLink(
  databaseUrl: string,
  publicUrl: string,
  env: NodeJS.ProcessEnv = {},
): Promise<OperatorLink | undefined> {
  return withDatabase(databaseUrl, APPLICATION, async (client) => {
    const { rowCount } = await client.query('SELECT FROM user_account WHERE operator_since IS NOT NULL LIMIT 1');
    if (rowCount !== 0) return undefined;
    return inTransaction(client, async () => {
      const { rows } = await client.query<{ id: string; revoked_at: Date }>(
        `UPDATE invitation SET revoked_at = ${NOW}
         WHERE organization_id IS NULL AND created_by IS NULL AND email IS NULL
           AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > now()
         RETURNING id, revoked_at`,
      );
      for (const { id, revoked_at: at } of rows) {
        await record(client, publicUrl, env, {
          type: 'invitation.revoked',
          subject: fromUuid('inv', id),
          at,
          data: {},
        });
      }
      return insertLink(client, publicUrl, null, env);
    });
  });
}

/** The beginning of the transaction in milliseconds, as events have it. */
const NOW = `date_trunc('milliseconds', now())`;

async function inTransaction<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  const result = await work();
  await client.query('COMMIT');
  return result;
}

async function insertLink(
  client: pg.Client,
  publicUrl: string,
  email: string | null,
  env: NodeJS.ProcessEnv,
): Promise<OperatorLink> {
  const { token, hash } = newOneTimeToken('invite');
  const id = newId('inv', new Date());
  const { rows } = await client.query<{ created_at: Date; expires_at: Date }>(
    `INSERT INTO invitation (id, email, token_hash, created_at, expires_at)
     VALUES ($1, $2, $3, ${NOW}, ${NOW} + make_interval(hours => $4)) RETURNING created_at, expires_at`,
    [toUuid(id), email, Buffer.from(hash), HOURS],
  );
  const { created_at: at, expires_at: expiresAt } = rows[0]!;
  const data = { role: null, email, expires_at: expiresAt.toISOString() };
  await record(client, publicUrl, env, { type: 'invitation.created', subject: id, at, data });
  return { token, url: oneTimeLink(publicUrl, 'invitation', token), expiresAt };
}

type LinkEvent = LinkEventOf<'invitation.created'> | LinkEventOf<'invitation.revoked'>;
type LinkEventOf<T extends EncodedType> = Pick<NewEvent<T>, 'type' | 'subject' | 'at' | 'data'>;

async function record(client: pg.Client, publicUrl: string, env: NodeJS.ProcessEnv, event: LinkEvent): Promise<void> {
  const config = readConfigWithoutDatabase({ ...env, PUBLIC_URL: publicUrl });
  const events = new Events(new DatabaseClock(), new PersonalData(config), config);
  await recordOwnEvents(client, events, DEPLOYMENT_ID, [event]);
}
