import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { targetFault } from './request-target.js';

describe('the target of a request', () => {
  it('may be a path with any text that is percent-encoded as UTF-8', () => {
    const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0'));
    fc.assert(
      fc.property(fc.array(text), fc.array(fc.tuple(text, text)), (segments, pairs) => {
        const path = segments.map(encodeURIComponent).join('/');
        expect(targetFault(`/${path}?${new URLSearchParams(pairs).toString()}`)).toBeUndefined();
      }),
    );
  });

  it.each(['', '*', 'api/v1', 'http://keyledger.test/api/v1/whoami', 'HTTPS://x', 'keyledger.test:443', '?a=1'])(
    'must begin with a slash, unlike %j',
    (target) => {
      expect(targetFault(target)).toMatchObject({ location: 'path', message: expect.stringContaining('slash') });
    },
  );

  it.each([
    '%',
    '%f',
    '%zz',
    '%FF',
    '%C3',
    '%C0%AF',
    '%ED%A0%80',
    '%F8%88%80%80%80',
    'caf\u00e9',
    '%00',
    '%2500%00',
    'a b',
  ])('must not have %j in its path or its query', (text) => {
    expect(targetFault(`/assets/${text}`)).toMatchObject({ location: 'path' });
    expect(targetFault(`/authz?scope=${text}`)).toMatchObject({ location: 'query.scope' });
    expect(targetFault(`/authz?a=1&${text}=1`)).toMatchObject({ location: 'query' });
  });

  it('must have no fragment', () => {
    expect(targetFault('/api/v1/whoami#x')).toMatchObject({ location: 'path' });
  });

  it('is parsed in linear time', () => {
    for (const part of ['%', '%41', '%C3', '&', '&%', '=', '/', '%00', '?']) {
      const times = Array.from({ length: 3 }, () => {
        const startedAt = performance.now();
        targetFault(`/?${part.repeat(16_384 / part.length)}`);
        return performance.now() - startedAt;
      });
      expect(Math.min(...times)).toBeLessThan(100);
    }
  });
});
