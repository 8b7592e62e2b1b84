import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { encodeEntries, MAX_ENTRY_BYTES } from '#libs/tlog/entries.js';
import { anyCharacter } from '../../test/support/any-text.js';
import { batchOfEntries } from './batches.js';

describe('a batch of entries', () => {
  it('keeps each entry byte for byte, whatever its content', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: anyCharacter })), (texts) => {
        const entries = texts.map((text) => new TextEncoder().encode(text));
        expect(Buffer.compare(batchOfEntries(texts).body, encodeEntries(entries))).toBe(0);
      }),
    );
  });

  it('rejects an entry that is too large', () => {
    expect(() => batchOfEntries(['x'.repeat(MAX_ENTRY_BYTES)])).not.toThrow();
    expect(() => batchOfEntries(['x'.repeat(MAX_ENTRY_BYTES - 1) + 'é'])).toThrow(RangeError);
  });
});
