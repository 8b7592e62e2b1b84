import { ed25519 } from '@noble/curves/ed25519.js';
import { verifierKey, type NoteSigner } from '#libs/tlog/note.js';

/** A key that signs notes. Each number gives another key. */
export function noteSigner(name: string, number = 1): NoteSigner {
  const seed = new Uint8Array(32).fill(number);
  return { key: verifierKey(name, ed25519.getPublicKey(seed)), sign: (message) => ed25519.sign(message, seed) };
}
