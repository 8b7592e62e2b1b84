import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Domain } from './domains.js';

describe('an allowed domain', () => {
  it.each([
    ['Example.COM', 'example.com'],
    [' app.example.com ', 'app.example.com'],
    ['*.Example.com', '*.example.com'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['*.bücher.example', '*.xn--bcher-kva.example'],
    ['localhost', 'localhost'],
    ['192.0.2.1', '192.0.2.1'],
    ['example.com.', 'example.com'],
  ])('%s is kept as %s', (text, kept) => {
    expect(Domain.parse(text)).toBe(kept);
  });

  it.each([
    '',
    '*',
    '*.com',
    '*.*.example.com',
    'app.*.example.com',
    '**.example.com',
    '*example.com',
    '*.192.0.2.1',
    '*.0x7f000001',
    'https://example.com',
    'example.com:8080',
    'example.com/path',
    'user@example.com',
    'exa mple.com',
    'null/',
    '[::1]',
  ])('%p is refused', (text) => {
    expect(Domain.safeParse(text).success).toBe(false);
  });

  it('is kept in one way', () => {
    fc.assert(
      fc.property(fc.domain(), fc.boolean(), (host, wildcard) => {
        const kept = Domain.parse(wildcard ? `*.${host.toUpperCase()}` : host.toUpperCase());
        expect(Domain.parse(kept)).toBe(kept);
      }),
    );
  });
});
