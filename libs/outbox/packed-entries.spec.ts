import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { encodeEntries, MAX_ENTRY_BYTES } from '#libs/tlog/entries.js';
import { anyCharacter } from '../../test/support/any-text.js';
import { packEntries } from './packed-entries.js';

describe('packed entries', () => {
  it('keep each entry byte for byte, whatever its content', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: anyCharacter })), (texts) => {
        const entries = texts.map((text) => new TextEncoder().encode(text));
        expect(Buffer.compare(packEntries(texts), encodeEntries(entries))).toBe(0);
      }),
    );
  });

  it('reject an entry that is too large', () => {
    expect(() => packEntries(['x'.repeat(MAX_ENTRY_BYTES)])).not.toThrow();
    expect(() => packEntries(['x'.repeat(MAX_ENTRY_BYTES - 1) + 'é'])).toThrow(RangeError);
  });
});
