import { ed25519 } from '@noble/curves/ed25519.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { fromBase64, toBase64 } from './bytes.js';
import { ProofError } from './proof-error.js';

/** Signed notes of C2SP (https://c2sp.org/signed-note) with Ed25519 signatures. */

/** The public part of a key that signs notes. Its name and its id together identify it. */
export interface VerifierKey {
  readonly type: SignatureType;
  readonly name: string;
  /** Eight hexadecimal digits. */
  readonly id: string;
  readonly publicKey: Uint8Array;
}

export interface NoteSigner {
  readonly key: VerifierKey;
  readonly sign: (message: Uint8Array) => Uint8Array;
}

interface SignatureLine {
  readonly name: string;
  readonly id: string;
  readonly signature: Uint8Array;
  /** Without its line break. */
  readonly line: string;
}

/** Signatures of a log, and cosignatures of a witness, both with Ed25519. */
export type SignatureType = typeof ED25519 | typeof COSIGNATURE;

const ED25519 = 0x01;
export const COSIGNATURE = 0x04;
const PUBLIC_KEY_BYTES = 32;
const ID_BYTES = 4;
const EM_DASH = '\u2014';
/** The specification requires 16. */
const MAX_SIGNATURES = 100;

/** @throws ProofError for a name that a signature line cannot contain */
export function verifierKey(name: string, publicKey: Uint8Array, type: SignatureType = ED25519): VerifierKey {
  checkName(name);
  if (publicKey.length !== PUBLIC_KEY_BYTES) throw new ProofError('The public key does not have 32 bytes');
  const hash = sha256(concatBytes(utf8ToBytes(`${name}\n`), Uint8Array.of(type), publicKey));
  return { type, name, id: idText(hash), publicKey };
}

/** The text form of a key, as Go's `sumdb/note` reads it: `name+id+base64`. */
export function formatVkey({ type, name, id, publicKey }: VerifierKey): string {
  return `${name}+${id}+${toBase64(concatBytes(Uint8Array.of(type), publicKey))}`;
}

/** @throws ProofError */
export function parseVkey(text: string): VerifierKey {
  return parseKey(text, ED25519);
}

/** @throws ProofError if it is not a key of this type */
export function parseKey(text: string, expected: SignatureType): VerifierKey {
  const [, name, id, encoded] = /^([^+]+)\+([\da-f]{8})\+(\S+)$/.exec(text) ?? [];
  if (!name || !id || !encoded) throw new ProofError('The key does not have the form name+id+base64');
  const [type, ...publicKey] = fromBase64('The key', encoded);
  if (type !== expected) throw new ProofError(`The key has the type ${type}, not ${expected} (Ed25519)`);
  const key = verifierKey(name, Uint8Array.from(publicKey), expected);
  if (key.id !== id) throw new ProofError(`The key has the id ${key.id}, not ${id}`);
  return key;
}

/** @param text ends with a line break, and has no control characters besides line breaks */
export function signNote(text: string, signers: readonly NoteSigner[]): string {
  checkText(text);
  const lines = signers.map(({ key, sign }) => {
    const signature = concatBytes(idBytes(key.id), sign(utf8ToBytes(text)));
    return `${EM_DASH} ${key.name} ${toBase64(signature)}\n`;
  });
  return `${text}\n${lines.join('')}`;
}

/**
 * Verifies a note. Signatures of other keys are ignored. A wrong signature of a known key makes the whole note wrong.
 * @returns the text, and the keys that signed it: at least one
 * @throws ProofError
 */
export function openNote(
  note: string,
  keys: readonly VerifierKey[],
): { readonly text: string; readonly signedBy: readonly VerifierKey[] } {
  const { text, signatures } = parseNote(note);
  const message = utf8ToBytes(text);
  const signedBy = new Set<VerifierKey>();
  for (const { name, id, signature } of signatures) {
    const key = keys.find((known) => known.name === name && known.id === id);
    if (!key) continue;
    if (!isSignedBy(key, message, signature)) throw new ProofError(`The signature of ${name}+${id} is wrong`);
    signedBy.add(key);
  }
  if (signedBy.size === 0) throw new ProofError('The note has no signature of a known key');
  return { text, signedBy: [...signedBy] };
}

export function isSignedBy({ publicKey }: VerifierKey, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    // As RFC 8032 verifies: the more tolerant rules of ZIP 215 accept signatures that other programs reject.
    return ed25519.verify(signature, message, publicKey, { zip215: false });
  } catch {
    return false;
  }
}

/** Reads a note without verifying it. @throws ProofError */
export function parseNote(note: string): { readonly text: string; readonly signatures: readonly SignatureLine[] } {
  const end = note.lastIndexOf('\n\n');
  if (end < 0) throw new ProofError('The note has no signatures');
  const text = note.slice(0, end + 1);
  checkText(text);
  const lines = note.slice(end + 2).split('\n');
  if (lines.pop() !== '') throw new ProofError('The note does not end with a line break');
  if (lines.length === 0) throw new ProofError('The note has no signatures');
  if (lines.length > MAX_SIGNATURES) throw new ProofError(`The note has more than ${MAX_SIGNATURES} signatures`);
  return { text, signatures: lines.map(parseSignature) };
}

function parseSignature(line: string): SignatureLine {
  const [, name, encoded] = /^\u2014 ([^ ]+) ([^ ]+)$/u.exec(line) ?? [];
  if (!name || !encoded) throw new ProofError('A signature of the note is malformed');
  checkName(name);
  const bytes = fromBase64('A signature of the note', encoded);
  if (bytes.length <= ID_BYTES) throw new ProofError('A signature of the note is too short');
  return { name, id: idText(bytes), signature: bytes.subarray(ID_BYTES), line };
}

function checkName(name: string): void {
  // oxlint-disable-next-line no-control-regex -- the rule of the specification
  if (name === '' || /[\p{White_Space}+\x00-\x1f]/u.test(name) || !name.isWellFormed()) {
    throw new ProofError('The name of a key is empty, or has a space, a plus or a control character');
  }
}

function checkText(text: string): void {
  // oxlint-disable-next-line no-control-regex -- the rule of the specification
  if (/[\x00-\x09\x0b-\x1f]/.test(text) || !text.isWellFormed()) {
    throw new ProofError('The note has a control character, or is not valid Unicode');
  }
  if (!text.endsWith('\n')) throw new ProofError('The text of the note does not end with a line break');
}

function idText(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, ID_BYTES), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function idBytes(id: string): Uint8Array {
  return Uint8Array.from({ length: ID_BYTES }, (_, n) => Number.parseInt(id.slice(2 * n, 2 * n + 2), 16));
}
