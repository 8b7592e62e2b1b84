import type pg from 'pg';
import type { AnchorRow } from './anchor.js';
import type { SigningKey } from './signing-keys.js';

/**
 * A time in which all checkpoints continue each other. A new epoch begins if that is no longer possible, because the
 * database or the anchor lost what was signed.
 */
export interface Epoch extends AnchorRow {
  /** The beginning of the origins of all logs: null before the first signature. */
  readonly origin: string | null;
  /** Newest first: none before the first signature. */
  readonly keys: readonly SigningKey[];
}

/** One process at a time decides about epochs, until its transaction ends. */
const LOCK = 'SELECT pg_advisory_xact_lock(4243001)';

type Database = Pick<pg.Pool, 'query'> | pg.ClientBase;
type NewKey = Pick<SigningKey, 'publicKey' | 'privateKey'>;

/** Locks the anchor until the end of the transaction. @returns the current epoch; null if there is none yet */
export async function lockEpoch(client: pg.ClientBase): Promise<Epoch | null> {
  await client.query(LOCK);
  const [epoch = null] = await readEpochs(client);
  return epoch;
}

/** All epochs, the current one first. */
export async function readEpochs(database: Database): Promise<Epoch[]> {
  const { rows } = await database.query<Omit<Epoch, 'keys'>>(
    `SELECT e.number, origin, anchor_id AS "anchorId", anchor_sequence::float8 AS sequence
     FROM audit_epoch e ORDER BY e.number DESC`,
  );
  const { rows: keys } = await database.query<SigningKey & { epoch: number }>(
    `SELECT epoch, number, public_key AS "publicKey", private_key AS "privateKey",
            ends_at AS "endsAt", coalesce(ends_at <= now(), false) AS "hasEnded", compromised AS "isCompromised"
     FROM audit_signing_key ORDER BY number DESC`,
  );
  return rows.map((epoch) => ({ ...epoch, keys: keys.filter((key) => key.epoch === epoch.number) }));
}

export async function insertEpoch(client: pg.ClientBase, number: number, anchorId: string): Promise<void> {
  await client.query('INSERT INTO audit_epoch (number, anchor_id) VALUES ($1, $2)', [number, anchorId]);
}

export async function saveSequence(client: pg.ClientBase, { number }: Epoch, sequence: number): Promise<void> {
  await client.query('UPDATE audit_epoch SET anchor_sequence = $2 WHERE number = $1', [number, sequence]);
}

/** Fixes the origin and the first key of an epoch, unless another node was faster. */
export async function fixSigner(database: Database, { number }: Epoch, origin: string, key: NewKey): Promise<Epoch> {
  await database.query(
    `WITH fixed AS (UPDATE audit_epoch SET origin = $2 WHERE number = $1 AND origin IS NULL RETURNING number)
     INSERT INTO audit_signing_key (epoch, number, public_key, private_key) SELECT number, 1, $3, $4 FROM fixed`,
    [number, origin, key.publicKey, key.privateKey],
  );
  const epochs = await readEpochs(database);
  return epochs.find((epoch) => epoch.number === number)!;
}

/** The newest key signs for so long beside the next one. @returns when it stops signing */
export async function endKey(client: pg.ClientBase, { number, keys }: Epoch, days: number): Promise<Date> {
  const { rows } = await client.query<{ ends_at: Date }>(
    `UPDATE audit_signing_key SET ends_at = date_trunc('milliseconds', now()) + make_interval(days => $3)
     WHERE epoch = $1 AND number = $2 RETURNING ends_at`,
    [number, keys[0]!.number, days],
  );
  return rows[0]!.ends_at;
}

/** Keys that still sign are in the hands of others: none signs again. */
export async function endCompromisedKeys(client: pg.ClientBase, { number }: Epoch): Promise<void> {
  await client.query(
    `UPDATE audit_signing_key SET ends_at = now(), private_key = NULL, compromised = true
     WHERE epoch = $1 AND (ends_at IS NULL OR ends_at > now())`,
    [number],
  );
}

export async function insertKey(client: pg.ClientBase, { number, keys }: Epoch, key: NewKey): Promise<void> {
  await client.query('INSERT INTO audit_signing_key (epoch, number, public_key, private_key) VALUES ($1, $2, $3, $4)', [
    number,
    keys[0]!.number + 1,
    key.publicKey,
    key.privateKey,
  ]);
}

/** Nothing is left with which a key could sign after its end. */
export async function eraseEndedKeys(database: Database): Promise<void> {
  await database.query(
    'UPDATE audit_signing_key SET private_key = NULL WHERE ends_at <= now() AND private_key IS NOT NULL',
  );
}

/** Whether the entry with which an epoch begins is among the first entries of a log. */
export async function isEpochEntryIn(
  client: pg.ClientBase,
  organizationId: string,
  number: number,
  size: number,
): Promise<boolean> {
  const { rows } = await client.query<{ entry: Buffer }>(
    `SELECT entry FROM audit_management_event
     WHERE organization_id = $1 AND type = 'audit_log.epoch_started' AND leaf_index < $2 ORDER BY leaf_index DESC LIMIT 1`,
    [organizationId, size],
  );
  const entry = rows[0] && (JSON.parse(rows[0].entry.toString()) as { data: { epoch: number } });
  return entry?.data.epoch === number;
}
