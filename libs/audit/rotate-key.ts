import type pg from 'pg';
import type { Events } from '#libs/outbox/event.js';
import type { Sealing } from '#libs/platform/sealing.js';
import { formatVkey } from '#libs/tlog/note.js';
import { signRotation } from '#libs/tlog/rotation.js';
import { endCompromisedKeys, endKey, eraseEndedKeys, insertKey, lockEpoch } from './epochs.js';
import { recordInEachLog } from './in-each-log.js';
import { generateSigningKey, keyOf, openSigner, signingNow } from './signing-keys.js';

export interface RotatedKey {
  readonly epoch: number;
  readonly logs: number;
  /** When the earlier key stops signing; null if it was compromised and has stopped. */
  readonly previousKeyEndsAt: Date | null;
}

/**
 * Replaces the key of the current epoch. The next checkpoint of each log has the signature of the new key. In each log, an
 * entry has the new key with a signature of the earlier one, so that an auditor who trusts the earlier key can follow.
 * @param overlapDays how long the earlier key signs, too; null if it is compromised
 * @returns null if nothing was signed in this epoch yet, so there is no key to replace
 */
export async function rotateKey(
  client: pg.ClientBase,
  { events, sealing }: { readonly events: Events; readonly sealing: Sealing },
  overlapDays: number | null,
): Promise<RotatedKey | null> {
  await client.query('BEGIN');
  const epoch = await lockEpoch(client);
  const earlier = epoch && signingNow(epoch.keys)[0];
  if (!epoch || !earlier) {
    await client.query('ROLLBACK');
    return null;
  }
  const next = generateSigningKey(sealing);
  // Without a key that opens, there is no way to go on: say so before anything changes.
  const signerFor = openSigner(sealing, earlier);
  await eraseEndedKeys(client);
  const previousKeyEndsAt = overlapDays === null ? null : await endKey(client, epoch, overlapDays);
  if (!previousKeyEndsAt) await endCompromisedKeys(client, epoch);
  await insertKey(client, epoch, next);
  const logs = await recordInEachLog(client, events, 'audit_log.key_rotated', (organizationId) => {
    const origin = `${epoch.origin}/${organizationId}`;
    const key = keyOf(next, origin);
    const data = { epoch: epoch.number, vkey: formatVkey(key) };
    if (!previousKeyEndsAt) return data;
    const note = signRotation(key, signerFor(origin));
    return { ...data, note, previous_key_ends_at: previousKeyEndsAt.toISOString() };
  });
  await client.query('COMMIT');
  return { epoch: epoch.number, logs, previousKeyEndsAt };
}
