import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { sha256In } from './api-key-import.js';

const sha256 = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));

/** The notations in which other systems keep hashes. */
const NOTATIONS: Readonly<Record<string, (bytes: Buffer) => string>> = {
  hexadecimal: (bytes) => bytes.toString('hex'),
  'upper-case hexadecimal': (bytes) => bytes.toString('hex').toUpperCase(),
  base64: (bytes) => bytes.toString('base64'),
  'base64 without padding': (bytes) => bytes.toString('base64').replace('=', ''),
  base64url: (bytes) => bytes.toString('base64url'),
  'base64url with padding': (bytes) => `${bytes.toString('base64url')}=`,
};

describe('the SHA-256 of a token', () => {
  it.each(Object.entries(NOTATIONS))('is read from %s', (_, write) => {
    fc.assert(fc.property(sha256, (bytes) => expect(sha256In(write(bytes))).toBe(bytes.toString('hex'))));
  });

  it('has 32 bytes in every notation', () => {
    const others = fc.uint8Array({ maxLength: 66 }).filter(({ length }) => length !== 32);
    fc.assert(
      fc.property(others, fc.constantFrom(...Object.values(NOTATIONS)), (bytes, write) => {
        expect(sha256In(write(Buffer.from(bytes)))).toBeUndefined();
      }),
    );
  });

  it('is nothing but one notation of these bytes', () => {
    const base64 = randomBytes(32).toString('base64').slice(0, 42);
    // The last character stands for two bits that no byte has.
    expect(sha256In(`${base64}B`)).toBeUndefined();
    expect(sha256In(`${'+'.repeat(21)}${'-'.repeat(21)}A`)).toBeUndefined();
    expect(sha256In(`${base64}A==`)).toBeUndefined();
    expect(sha256In(` ${base64}A`)).toBeUndefined();
    expect(sha256In(`${base64}A\n`)).toBeUndefined();
    expect(sha256In('g'.repeat(64))).toBeUndefined();
  });
});
