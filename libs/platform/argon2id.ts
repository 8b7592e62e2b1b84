import argon2 from 'argon2';

/**
 * Argon2id with the parameters that OWASP recommends: 19 MiB, two passes, one lane. For passwords, which need it, and for
 * the secrets of keys, which with 95 random bits do not, but so there is one kind of hash at rest.
 */
export function argon2idHash(text: string): Promise<string> {
  return argon2.hash(text, { type: argon2.argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 });
}

export function argon2idVerify(hash: string, text: string): Promise<boolean> {
  return argon2.verify(hash, text);
}
