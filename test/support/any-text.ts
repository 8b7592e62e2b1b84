import fc from 'fast-check';

const SURROGATES = { first: 0xd800, count: 0x800 };

/**
 * Every character of Unicode, for `fc.string({ unit: anyCharacter })`. It is what `unit: 'binary'` has, for which the library
 * first makes a table of a million characters: 2 s in each test file.
 */
export const anyCharacter = fc.integer({ min: 0, max: 0x10ffff - SURROGATES.count }).map(
  (number) => String.fromCodePoint(number < SURROGATES.first ? number : number + SURROGATES.count),
  (character) => {
    if (typeof character !== 'string' || Array.from(character).length !== 1) throw new Error('It is not one character');
    const number = character.codePointAt(0)!;
    return number < SURROGATES.first ? number : number - SURROGATES.count;
  },
);
