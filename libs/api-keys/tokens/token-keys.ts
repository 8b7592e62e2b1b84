import type { KeyObject } from 'node:crypto';
import { KEY_TOKEN_MAX_SECONDS } from '#libs/contract/key-tokens.js';

/** A key that signs key tokens. */
export interface TokenKey {
  /** The `kid`. */
  readonly id: string;
  readonly privateKey: KeyObject;
  readonly createdAt: Date;
}

/** How long verifiers may keep the key set. */
export const KEY_SET_SECONDS = 600;
/** A key is published for so long before it signs: twice as long as a verifier keeps the key set. */
const AHEAD_MS = 2 * KEY_SET_SECONDS * 1_000;
/** A key stays published for so long after it has signed: the life of its last token, by a clock that is five minutes behind. */
const BEHIND_MS = (KEY_TOKEN_MAX_SECONDS + 300) * 1_000;
const REPLACED_AFTER_MS = 30 * 86_400_000;

export interface Rotation {
  /** Undefined if there is no key yet. */
  readonly signing: TokenKey | undefined;
  /** The keys with which verifiers have to be able to verify. */
  readonly published: readonly TokenKey[];
  /** Whether it is time for another key. */
  readonly isDue: boolean;
}

/**
 * What each key does now. Their ages alone decide, so all nodes agree without a word.
 * @param keys the oldest first. The first has nothing to wait for, and signs at once
 */
export function rotationOf(keys: readonly TokenKey[], now: Date): Rotation {
  const ageOf = (key: TokenKey) => now.getTime() - key.createdAt.getTime();
  const newest = keys.at(-1);
  return {
    signing: keys.findLast((key, index) => index === 0 || ageOf(key) >= AHEAD_MS),
    published: keys.filter((_, index) => {
      const next = keys[index + 1];
      return !next || ageOf(next) < AHEAD_MS + BEHIND_MS;
    }),
    isDue: !newest || ageOf(newest) >= REPLACED_AFTER_MS,
  };
}
