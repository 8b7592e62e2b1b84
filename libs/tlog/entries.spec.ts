import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeEntries, encodeEntries, MAX_ENTRY_BYTES } from './entries.js';
import { leafHash } from './leaf.js';

describe('a bundle of entries', () => {
  it('returns exactly the stored bytes in their order', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (entries) => {
        expect(decodeEntries(encodeEntries(entries)).map((entry) => [...entry])).toEqual(
          entries.map((entry) => [...entry]),
        );
      }),
    );
  });

  it('accepts an entry of 65,535 bytes and rejects a longer one', () => {
    expect(decodeEntries(encodeEntries([new Uint8Array(MAX_ENTRY_BYTES)]))).toHaveLength(1);
    expect(() => encodeEntries([new Uint8Array(MAX_ENTRY_BYTES + 1)])).toThrow(RangeError);
  });

  it('is rejected if it is truncated', () => {
    const bundle = encodeEntries([Uint8Array.of(1, 2, 3)]);
    for (let length = 1; length < bundle.length; length++) {
      expect(() => decodeEntries(bundle.subarray(0, length))).toThrow(RangeError);
    }
  });

  it('is read in place, also within a larger buffer', () => {
    const bundle = encodeEntries([Uint8Array.of(7)]);
    const larger = Uint8Array.of(9, 9, ...bundle, 9);
    expect(decodeEntries(larger.subarray(2, 2 + bundle.length))).toEqual([Uint8Array.of(7)]);
  });
});

describe('the leaf hash', () => {
  it('is SHA-256 over a zero byte and the entry, as RFC 6962 defines it', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (entry) => {
        const expected = createHash('sha256').update(Uint8Array.of(0)).update(entry).digest('hex');
        expect(Buffer.from(leafHash(entry)).toString('hex')).toBe(expected);
      }),
    );
  });

  it('matches the published hash of the empty leaf', () => {
    // RFC 9162, section 2.1.5, and the test vectors of certificate-transparency-go.
    expect(Buffer.from(leafHash(new Uint8Array())).toString('hex')).toBe(
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    );
  });
});
