import { ProofError } from './proof-error.js';

export const HASH_BYTES = 32;

export function toBase64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
}

/**
 * Accepts only the one canonical form (RFC 4648, section 4), because two texts of the same bytes would be two proofs.
 * @throws ProofError
 */
export function fromBase64(what: string, text: string): Uint8Array {
  const bytes = decoded(text);
  if (!bytes || toBase64(bytes) !== text) throw new ProofError(`${what} is not valid base64`);
  return bytes;
}

function decoded(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

/** @throws ProofError */
export function hashFromBase64(what: string, text: string): Uint8Array {
  const hash = fromBase64(what, text);
  if (hash.length !== HASH_BYTES) throw new ProofError(`${what} does not have ${HASH_BYTES} bytes`);
  return hash;
}

export function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, n) => byte === b[n]);
}

/**
 * A number in decimal digits without leading zeroes.
 * @throws ProofError
 */
export function wholeNumber(what: string, text: string): number {
  const number = /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(number)) throw new ProofError(`${what} is not a whole number`);
  return number;
}
