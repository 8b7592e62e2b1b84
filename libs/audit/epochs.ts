import type pg from 'pg';
import type { AnchorRow } from './anchor.js';

/**
 * A time in which all checkpoints continue each other. A new epoch begins if that is no longer possible, because the
 * database or the anchor lost what was signed.
 */
export interface Epoch extends AnchorRow {
  /** The beginning of the origins of all logs, and the sealed key: null before the first signature. */
  readonly origin: string | null;
  readonly privateKey: Buffer | null;
}

/** One process at a time decides about epochs, until its transaction ends. */
const LOCK = 'SELECT pg_advisory_xact_lock(4243001)';

const COLUMNS = `number, origin, private_key AS "privateKey", anchor_id AS "anchorId", anchor_sequence::float8 AS sequence`;

/** Locks the anchor until the end of the transaction. @returns the current epoch; null if there is none yet */
export async function lockEpoch(client: pg.ClientBase): Promise<Epoch | null> {
  await client.query(LOCK);
  const [epoch = null] = await readEpochs(client);
  return epoch;
}

/** All epochs, the current one first. */
export async function readEpochs(client: Pick<pg.Pool, 'query'> | pg.ClientBase): Promise<Epoch[]> {
  const { rows } = await client.query<Epoch>(`SELECT ${COLUMNS} FROM audit_epoch ORDER BY number DESC`);
  return rows;
}

export async function startFirstEpoch(client: pg.ClientBase, anchorId: string): Promise<Epoch> {
  await insertEpoch(client, 1, anchorId);
  return { number: 1, origin: null, privateKey: null, anchorId, sequence: 0 };
}

export async function insertEpoch(client: pg.ClientBase, number: number, anchorId: string): Promise<void> {
  await client.query('INSERT INTO audit_epoch (number, anchor_id) VALUES ($1, $2)', [number, anchorId]);
}

export async function saveSequence(client: pg.ClientBase, { number }: Epoch, sequence: number): Promise<void> {
  await client.query('UPDATE audit_epoch SET anchor_sequence = $2 WHERE number = $1', [number, sequence]);
}

/** Fixes the origin and the key of an epoch, unless another node was faster. */
export async function fixSigner(
  client: Pick<pg.Pool, 'query'>,
  { number }: Epoch,
  origin: string,
  privateKey: Uint8Array,
): Promise<Epoch> {
  await client.query('UPDATE audit_epoch SET origin = $2, private_key = $3 WHERE number = $1 AND origin IS NULL', [
    number,
    origin,
    privateKey,
  ]);
  const epochs = await readEpochs(client);
  return epochs.find((epoch) => epoch.number === number)!;
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
