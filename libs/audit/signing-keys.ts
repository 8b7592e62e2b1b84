import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import type { Sealing } from '#libs/platform/sealing.js';
import { verifierKey, type NoteSigner, type VerifierKey } from '#libs/tlog/note.js';
import { checkpointUnavailable } from './anchor.js';

/**
 * A key of an epoch. All logs share it, each under a name of its own: the origin of the log. Several keys sign while
 * one replaces another.
 */
export interface SigningKey {
  readonly number: number;
  readonly publicKey: Uint8Array;
  /** Sealed with KEYLEDGER_SECRET; null when it no longer signs. */
  readonly privateKey: Uint8Array | null;
  /** When it stops signing; null for the newest. */
  readonly endsAt: Date | null;
  readonly hasEnded: boolean;
  readonly isCompromised: boolean;
}

/** What the key is sealed for. */
const PURPOSE = 'audit log key';
/** The public key is at the end of its DER. */
const PUBLIC_KEY_BYTES = 32;

/** A random key that has no number yet. */
export function generateSigningKey(sealing: Sealing): {
  readonly publicKey: Uint8Array;
  readonly privateKey: Uint8Array;
} {
  const { privateKey } = generateKeyPairSync('ed25519');
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).subarray(-PUBLIC_KEY_BYTES);
  return { publicKey, privateKey: sealing.seal(PURPOSE, privateKey.export({ type: 'pkcs8', format: 'der' })) };
}

/** The keys that sign now, newest first. */
export function signingNow(keys: readonly SigningKey[]): SigningKey[] {
  return keys.filter(({ privateKey, hasEnded }) => privateKey !== null && !hasEnded);
}

export function keyOf({ publicKey }: Pick<SigningKey, 'publicKey'>, origin: string): VerifierKey {
  return verifierKey(origin, publicKey);
}

/** Signs for the log with this origin. */
export type SignerFor = (origin: string) => NoteSigner;

/** @throws DomainError `checkpoint_unavailable` */
export function openSigner(sealing: Sealing, key: Pick<SigningKey, 'publicKey' | 'privateKey'>): SignerFor {
  const privateKey = open(sealing, key.privateKey!);
  return (origin) => ({
    key: keyOf(key, origin),
    sign: (message) => sign(null, message, privateKey),
  });
}

function open(sealing: Sealing, sealed: Uint8Array): KeyObject {
  try {
    return createPrivateKey({ key: Buffer.from(sealing.open(PURPOSE, sealed)), format: 'der', type: 'pkcs8' });
  } catch (error) {
    throw checkpointUnavailable(
      'The key of the audit logs was sealed with another KEYLEDGER_SECRET: set the one that belongs to the database.',
      error,
    );
  }
}
