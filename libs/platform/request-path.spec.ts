import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { generateToken, parseToken } from '#libs/api-key-format/token.js';
import { anyCharacter } from '../../test/support/any-text.js';
import { normalizePath, recordedPath } from './request-path.js';

describe('a path has one canonical spelling', () => {
  it.each([
    ['/api/v1/whoami', '/api/v1/whoami'],
    ['/api/v1/%77hoami', '/api/v1/whoami'],
    ['/%61pi/v1//./whoami', '/api/v1/whoami'],
    ['/a/b/../c', '/a/c'],
    ['/a/b/%2e%2E/c', '/a/c'],
    ['/../../a', '/a'],
    ['/a/..', '/'],
    ['/a/.', '/a/'],
    ['//', '/'],
    ['/%7euser', '/~user'],
    ['/a%2fb', '/a%2Fb'],
    ['/caf%c3%a9', '/caf%C3%A9'],
    ['/100%', '/100%25'],
    ['/%2541', '/%2541'],
    ['/a;b=1', '/a;b=1'],
    ['/.well-known/x', '/.well-known/x'],
    ['/trailing/', '/trailing/'],
    ['orders.create', 'orders.create'],
    ['*', '*'],
    ['', ''],
  ])('%j is %j', (path, normal) => expect(normalizePath(path)).toBe(normal));

  const character = fc.constantFrom(...'ab.~-_/%;:@27eEfFé'.split(''));
  const anyPath = fc.oneof(
    fc.array(character, { maxLength: 40 }).map((characters) => `/${characters.join('')}`),
    fc.string({ unit: anyCharacter, maxLength: 60 }),
    fc
      .array(fc.constantFrom('.', '..', '', '%2e', '%2E.', 'a', '%61', '%2F', '%', '%%', '%4'), { maxLength: 12 })
      .map((segments) => segments.join('/')),
  );

  it('that does not change when it is normalized again', () => {
    fc.assert(
      fc.property(anyPath, (path) => {
        const normal = normalizePath(path);
        expect(normalizePath(normal)).toBe(normal);
      }),
      { numRuns: 3_000 },
    );
  });

  it('whichever characters are encoded, and with added dots and slashes', () => {
    const segment = fc.stringMatching(/^[a-z0-9~_-][a-z0-9.~_-]{0,8}$/);
    const put = fc.constantFrom('/', '//', '/./', '/%2e/', '/x/../', '/%78/%2E%2e/');
    fc.assert(
      fc.property(fc.array(fc.tuple(put, segment), { minLength: 1, maxLength: 8 }), fc.nat(4), (parts, every) => {
        const path = parts.map(([, name]) => `/${name}`).join('');
        const spelt = parts.map(([before, name]) => before + encodeSome(name, every)).join('');
        expect(normalizePath(spelt)).toBe(path);
      }),
      { numRuns: 1_000 },
    );
  });
});

function encodeSome(text: string, every: number): string {
  return text
    .split('')
    .map((character, at) => (every && at % every === 0 ? `%${character.charCodeAt(0).toString(16)}` : character))
    .join('');
}

describe('the recorded path', () => {
  const token = generateToken('sk_live');

  it.each([
    ['http://evil.example/api/v1/whoami', '/api/v1/whoami'],
    ['HTTPS://evil.example:8443', '/'],
    ['http://evil.example?x=/other', '/'],
    ['?x=1', '/'],
    ['.', '/'],
    ['/a?token=1#x', '/a'],
    ['/a#x', '/a'],
    [`/v1/${token}`, `/v1/${parseToken(token)!.display}…`],
    [
      `/v1/%73${token.slice(1).replace('_', '%255f')}`,
      `/v1/s${parseToken(token)!.display.slice(1).replace('_', '%255f')}…`,
    ],
    [`/${'a'.repeat(5_000)}`, `/${'a'.repeat(1_999)}`],
  ])('%j is %j', (target, path) => expect(recordedPath(target)).toBe(path));
});
