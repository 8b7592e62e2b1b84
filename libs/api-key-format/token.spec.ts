import { crc32 } from 'node:zlib';

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { anyCharacter } from '../../test/support/any-text.js';
import { generateToken, parseToken, tokensIn } from './token.js';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const CHARACTERS = ALPHABET.split('');
const prefixes = fc.stringMatching(/^[a-z][a-z0-9_]{0,30}$/);
const tokens = prefixes.map(generateToken);

describe('the token of an API key', () => {
  it('is its prefix, an underscore and 32 base62 characters', () => {
    expect(generateToken('sk_test')).toMatch(/^sk_test_[0-9A-Za-z]{32}$/);
  });

  it('keeps its format in future versions', () => {
    // Published with the format: a scanner that accepts these two tokens implements it.
    expect(parseToken('sk_live_0123456789ABCDEFGHIJKLMNOP2cbtEV')).toEqual({
      token: 'sk_live_0123456789ABCDEFGHIJKLMNOP2cbtEV',
      prefix: 'sk_live',
      handle: '0123456789',
      display: 'sk_live_012345',
    });
    expect(parseToken('cagi_zzzzzzzzzzzzzzzzzzzzzzzzzz0dJWEK')?.prefix).toBe('cagi');
  });

  it('is parsed without loss', () => {
    fc.assert(
      fc.property(prefixes, (prefix) => {
        const token = generateToken(prefix);
        const random = token.slice(prefix.length + 1);
        expect(parseToken(token)).toEqual({
          token,
          prefix,
          handle: random.slice(0, 10),
          display: `${prefix}_${random.slice(0, 6)}`,
        });
      }),
    );
  });

  it('ends in the CRC-32 of the text before it', () => {
    fc.assert(
      fc.property(tokens, (token) => {
        const sum = token
          .slice(-6)
          .split('')
          .reduce((number, digit) => number * 62 + ALPHABET.indexOf(digit), 0);
        expect(sum).toBe(crc32(token.slice(0, -6)));
      }),
    );
  });

  it('is rejected if any character is changed', () => {
    const characters = fc.constantFrom(...CHARACTERS, '_', '-', ' ', 'é', '\n');
    fc.assert(
      fc.property(tokens, fc.nat(), characters, (token, index, character) => {
        const at = index % token.length;
        fc.pre(token[at] !== character);
        expect(parseToken(token.slice(0, at) + character + token.slice(at + 1))).toBeNull();
      }),
      { numRuns: 2000 },
    );
  });

  it('is rejected if two neighbours are swapped, or a character is missing or doubled', () => {
    fc.assert(
      fc.property(tokens, fc.nat(), (token, index) => {
        const at = index % (token.length - 1);
        const [before, one, next, after] = [token.slice(0, at), token[at], token[at + 1], token.slice(at + 2)];
        fc.pre(one !== next);
        expect(parseToken(`${before}${next}${one}${after}`)).toBeNull();
        expect(parseToken(`${before}${next}${after}`)).toBeNull();
        expect(parseToken(`${before}${one}${one}${next}${after}`)).toBeNull();
      }),
    );
  });

  it('is parsed from any text without an exception', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary-ascii' }), (text) => void parseToken(text)));
    for (const text of [
      '',
      '_',
      'sk_',
      `sk_${'0'.repeat(32)}`,
      ` ${generateToken('sk')}`,
      `${generateToken('sk')}\n`,
    ]) {
      expect(parseToken(text)).toBeNull();
    }
  });

  it('has a bounded length', () => {
    expect(generateToken('a'.repeat(31))).toHaveLength(64);
    expect(() => generateToken('a'.repeat(32))).toThrow(RangeError);
    const body = `${'a'.repeat(32)}_${'0'.repeat(26)}`;
    expect(parseToken(body + '000000')).toBeNull();
  });

  it.each(['', '_sk', '1sk', 'SK', 'sk-test', 'sk test', 'schlüssel', 'sk\n'])(
    'cannot have the prefix %j',
    (prefix) => {
      expect(() => generateToken(prefix)).toThrow(RangeError);
    },
  );

  it('draws every character equally often', () => {
    const counts = new Map<string, number>();
    const draws = 4000;
    for (let i = 0; i < draws; i++) {
      for (const character of generateToken('sk').slice(3, -6)) counts.set(character, (counts.get(character) ?? 0) + 1);
    }
    const expected = (draws * 26) / ALPHABET.length;
    const chiSquared = CHARACTERS.reduce((sum, c) => sum + ((counts.get(c) ?? 0) - expected) ** 2 / expected, 0);
    // 61 degrees of freedom: above 150 once in 10^8 runs. Without rejection, a byte modulo 62 gives about 690.
    expect(chiSquared).toBeLessThan(150);
  });
});

describe('in a text', () => {
  const around = fc.oneof(fc.stringMatching(/^[A-Za-z0-9_]{0,40}$/), fc.string({ unit: anyCharacter, maxLength: 40 }));

  it('every token is found, whatever the surrounding text', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(around, tokens), { maxLength: 4 }), around, (parts, after) => {
        let text = '';
        const expected = parts.map(([before, token]) => {
          text += before + token;
          const { prefix } = parseToken(token)!;
          return { prefix, randomAt: text.length - 32 };
        });
        expect(tokensIn(text + after)).toEqual(expected);
      }),
      { numRuns: 1_000 },
    );
  });

  it('nothing else is found', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z]{1,10}_[0-9A-Za-z]{32}$/), (lookalike) => {
        fc.pre(parseToken(lookalike) === null);
        expect(tokensIn(lookalike)).toEqual([]);
      }),
    );
  });
});
