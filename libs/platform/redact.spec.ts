import { describe, expect, it } from '@jest/globals';
import { generateToken, parseToken } from '#libs/api-key-format/token.js';
import { redact, withoutSecrets } from './redact.js';

const key = generateToken('sk_live');
const { display } = parseToken(key)!;
const publicKey = generateToken('pk_live');
const base64 = 'Zq0_-'.repeat(9).slice(0, 43);

describe('what a caller says loses', () => {
  it.each([
    ['a key in a path', `/v1/${key}/x`, `/v1/${display}…/x`],
    ['a key glued to a name', `/v1/my_key_${key}`, `/v1/my_key_${display}…`],
    ['a pair', `${publicKey}:${key}`, `${publicKey}:${display}…`],
    ['a refresh token', `rt_${base64}`, 'rt_…'],
    ['a one-time token', `/invitation/invite_${base64}?x`, '/invitation/invite_…?x'],
    ['an access token', 'curl/8 eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1c2VyIn0.c2lnbmF0dXJl', 'curl/8 eyJ…'],
  ])('%s', (_what, text, shown) => expect(withoutSecrets(text)).toBe(shown));
});

describe('it keeps', () => {
  it.each([
    ['a public key', `/v1/${publicKey}`],
    ['what looks like a key and is none', '/v1/file_0123456789abcdef0123456789abcdef'],
    ['an id', '/api/v1/api-keys/key_01h455vb4pex5vsknk084sn02q'],
    [
      'a browser',
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0',
    ],
  ])('%s', (_what, text) => expect(withoutSecrets(text)).toBe(text));
});

describe('a line of a log loses, too,', () => {
  it.each([
    ['the password in an address', 'at postgres://ada:pa/ss@db:5432/x', 'at postgres://ada:…@db:5432/x'],
    ['a password without a name', 'redis://:secret@host', 'redis://:…@host'],
    ['a header', 'authorization: Bearer abc.def, x', 'authorization: Bearer …, x'],
    ['the values of a query', 'GET /x?token=abc&other=1 failed', 'GET /x?token=…&other=… failed'],
  ])('%s', (_what, line, shown) => expect(redact(line)).toBe(shown));

  it('and nothing of where it happened', () => {
    const stack = 'Error: no\n    at verify (file:///app/dist/libs/auth/passwords.js:12:5)\n    at node:internal/x:1:2';
    expect(redact(stack)).toBe(stack);
  });
});
