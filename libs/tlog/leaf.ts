import { sha256 } from '@noble/hashes/sha2.js';

/**
 * The hash of a log entry: SHA-256(0x00 ‖ entry), RFC 6962 section 2.1. The leading zero distinguishes an entry from an
 * inner node of the tree.
 */
export function leafHash(entry: Uint8Array): Uint8Array {
  return sha256.create().update(LEAF_PREFIX).update(entry).digest();
}

/** The hash of an inner node: SHA-256(0x01 ‖ left ‖ right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256.create().update(NODE_PREFIX).update(left).update(right).digest();
}

const LEAF_PREFIX = Uint8Array.of(0x00);
const NODE_PREFIX = Uint8Array.of(0x01);
