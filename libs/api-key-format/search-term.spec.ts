import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { anyCharacter } from '../../test/support/any-text.js';
import { holdsSecret, LONGEST_SEARCH, searchTermOf } from './search-term.js';
import { generateToken, parseToken } from './token.js';

const prefixes = fc.stringMatching(/^[a-z][a-z0-9_]{0,30}$/);
const secrets = prefixes.filter((prefix) => !/^pk(_|$)/.test(prefix)).map(generateToken);
const publicKeys = fc.constantFrom('pk', 'pk_test', 'pk_live').map(generateToken);
const displayOf = (token: string) => parseToken(token)!.display;

/** Keys as they occur in headers, settings, mails and terminals. */
const decorations: ((key: string) => string)[] = [
  (key) => key,
  (key) => ` ${key}\n`,
  (key) => `"${key}",`,
  (key) => `X-API-Key: ${key}`,
  (key) => `curl -s https://example.com -H 'Authorization: Bearer ${key}'`,
  (key) => `KEYLEDGER_API_KEY=${key}`,
  (key) => `https://example.com/?key=${key}&b=c`,
  (key) => `{"key":"${key}"}`,
  (key) => `${'x'.repeat(9_000)} ${key}`,
];
const decorated = fc.constantFrom(...decorations);
const decoratedOrTwice = fc.constantFrom(...decorations, (key: string) => `${key}${key}`);

/** Whether the text shows more of the random part than lists do: 7 consecutive characters. */
function tellsMoreThanShown(text: string, token: string): boolean {
  const random = token.slice(-32);
  const windows = Array.from({ length: random.length - 6 }, (_, at) => random.slice(at, at + 7));
  return windows.some((part) => text.includes(part));
}

describe('the search term', () => {
  it('of a whole secret is the prefix that lists show, anywhere in the text and with line breaks in it', () => {
    fc.assert(
      fc.property(
        secrets,
        decoratedOrTwice,
        fc.nat(60),
        fc.constantFrom('', ' ', '\n', '\r\n  ', '\\\n'),
        (key, put, at, break_) => {
          expect(searchTermOf(put(key))).toBe(displayOf(key));
          expect(searchTermOf(key.slice(0, at) + break_ + key.slice(at))).toBe(displayOf(key));
        },
      ),
    );
  });

  it('of a pair, in either order, or of a public key is the public key', () => {
    fc.assert(
      fc.property(
        secrets,
        publicKeys,
        decoratedOrTwice,
        fc.constantFrom(':', '%3A', ' ', '\n'),
        (secret, key, put, between) => {
          expect(searchTermOf(put(key))).toBe(key);
          expect(searchTermOf(put(`${key}${between}${secret}`))).toBe(key);
          expect(searchTermOf(`${secret} ${key}`)).toBe(key);
        },
      ),
    );
  });

  it('of a partial secret has no more of it than lists show', () => {
    fc.assert(
      fc.property(secrets, fc.nat(63), fc.nat(30), decorated, (key, length, begin, put) => {
        // Cut within the prefix and within the random part. Two parts without a gap may look like one long prefix.
        const part = key.slice(Math.min(begin, key.length - 34), Math.max(1, length));
        expect(tellsMoreThanShown(searchTermOf(put(part)), key)).toBe(false);
        expect(searchTermOf(part)).toMatch(/^[0-9A-Za-z_]*$/);
      }),
      { numRuns: 2_000 },
    );
  });

  it('of a listed prefix is that prefix, with or without the ellipsis', () => {
    fc.assert(
      fc.property(secrets, (key) => {
        for (const ellipsis of ['', '…', '...']) expect(searchTermOf(displayOf(key) + ellipsis)).toBe(displayOf(key));
      }),
    );
  });

  it('of the random part without its prefix has 6 characters of it, also in base64', () => {
    const key = 'sk_live_0123456789ABCDEFGHIJKLMNOPabcdef';
    expect(searchTermOf(key.slice(8))).toBe('012345');
    expect(searchTermOf(`Basic ${btoa(`${key}:`)}`)).toBe('Basic c2tfbG');
  });

  it.each([
    'Production server (EU)',
    'under_score',
    'nightly_reporting_job',
    '100%',
    'cus_10000001',
    'key_01h455vb4pex5vsknk084sn02q',
    'secret_01h455vb4pex5vsknk084sn02q',
    'customer_01h455vb4pex5vsknk084sn02q',
    '01ARZ3NDEKTSV4RRFFQ69G5FAV',
    '550e8400-e29b-41d4-a716-446655440000',
    'pk_live_0123456789AB',
    'internationalization of everything',
    'ключ',
  ])('of %j is the same text', (text) => {
    expect(searchTermOf(` ${text} `)).toBe(text);
  });

  it.each([
    ['cus_NffrFeUfNV2Hib', 'cus_NffrFe'],
    ['data_pipelines', 'data_pipeli'],
    ['my_company_live_4fQ9aZbcd', 'my_company_live_4fQ9aZ'],
  ])('of %j, which may be a part of a secret, is found in it: %j', (text, term) => {
    expect(searchTermOf(text)).toBe(term);
  });

  it('has a bounded length and takes bounded time, whatever was pasted', () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter, maxLength: 50 }), fc.nat(1_000), (text, times) => {
        const term = searchTermOf(text.repeat(times));
        expect(term.length).toBeLessThanOrEqual(LONGEST_SEARCH);
        expect(searchTermOf(term).length).toBeLessThanOrEqual(term.length);
      }),
    );
  });
});

it('a text holds a secret if it has a whole secret; a public key is not a secret', () => {
  fc.assert(
    fc.property(secrets, publicKeys, decorated, (secret, publicKey, put) => {
      expect(holdsSecret(put(secret))).toBe(true);
      expect(holdsSecret(put(publicKey))).toBe(false);
      expect(holdsSecret(put(displayOf(secret)))).toBe(false);
    }),
  );
});
