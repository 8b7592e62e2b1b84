import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { allowsOrigin, Domain, domainsAllowing, hostOfOrigin } from './domains.js';

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
    '0x7f000001',
    '2130706433',
    '127.1',
    '1.2.3',
    '010.0.0.1',
    '１９２.0.2.1',
    'https://example.com',
    'example.com:8080',
    'example.com/path',
    'user@example.com',
    'exa mple.com',
    'null/',
    '[::1]',
    'null',
    'a,b.com',
    'a"b.com',
    'a{b}.com',
    'a;b',
    'a..b',
  ])('%p is rejected', (text) => {
    expect(Domain.safeParse(text).success).toBe(false);
  });

  it('has one stored spelling', () => {
    fc.assert(
      fc.property(fc.domain(), fc.boolean(), (host, wildcard) => {
        const kept = Domain.parse(wildcard ? `*.${host.toUpperCase()}` : host.toUpperCase());
        expect(Domain.parse(kept)).toBe(kept);
      }),
    );
  });
});

describe('an origin', () => {
  const label = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
  const host = fc.array(label, { minLength: 2, maxLength: 5 }).map((labels) => labels.join('.'));
  const port = fc.option(fc.integer({ min: 1, max: 65_535 }));
  const scheme = fc.constantFrom('http', 'https', 'HTTPS', 'capacitor', 'chrome-extension');
  const originOf = (scheme: string, host: string, port: number | null) =>
    `${scheme}://${host}${port === null ? '' : `:${port}`}`;

  it('is allowed by its exact host, whatever its scheme, port and case', () => {
    fc.assert(
      fc.property(host, scheme, port, (host, scheme, port) => {
        expect(allowsOrigin([host], originOf(scheme, host.toUpperCase(), port))).toBe(true);
      }),
    );
  });

  it('is allowed by a wildcard exactly if it is a subdomain, at any depth', () => {
    fc.assert(
      fc.property(host, fc.array(label, { maxLength: 3 }), scheme, port, (base, more, scheme, port) => {
        const below = [...more, base].join('.');
        expect(allowsOrigin([`*.${base}`], originOf(scheme, below, port))).toBe(more.length > 0);
        // A name with the same ending is not a subdomain.
        expect(allowsOrigin([`*.${base}`], originOf(scheme, `x${base}`, port))).toBe(false);
      }),
    );
  });

  it('of another host is not allowed', () => {
    fc.assert(
      fc.property(host, host, (one, other) => {
        fc.pre(one !== other);
        expect(allowsOrigin([one], `https://${other}`)).toBe(false);
      }),
    );
  });

  it('with an international name is the same in Unicode and ASCII', () => {
    expect(allowsOrigin([Domain.parse('bücher.example')], 'https://xn--bcher-kva.example')).toBe(true);
    expect(allowsOrigin([Domain.parse('*.bücher.example')], 'https://shop.bücher.example')).toBe(true);
  });

  it.each([
    'null',
    '',
    'example.com',
    'https://',
    'https://example.com/path',
    'https://user@example.com',
    'https://example.com\\.evil.com',
    'https://example.com#x',
    'https://evil.com?example.com',
    'javascript:alert(1)',
    'https://exa mple.com',
  ])('%p is not an origin, and is allowed by no domain', (origin) => {
    expect(hostOfOrigin(origin)).toBeUndefined();
    expect(allowsOrigin(['example.com', '*.example.com', 'null', ''], origin)).toBe(false);
  });

  it('that is an address is allowed by the same address only', () => {
    expect(allowsOrigin(['192.0.2.1'], 'http://192.0.2.1:8080')).toBe(true);
    expect(domainsAllowing('192.0.2.1')).toEqual(['192.0.2.1']);
    expect(hostOfOrigin('http://0xc0000201')).toBe('192.0.2.1');
    expect(allowsOrigin(['*.0.2.1'], 'http://192.0.2.1')).toBe(false);
    expect(domainsAllowing(hostOfOrigin('http://[2001:db8::1]:80')!)).toEqual(['[2001:db8::1]']);
  });

  it('is allowed by the same domains in the lookup and in the comparison', () => {
    fc.assert(
      fc.property(fc.array(label, { minLength: 1, maxLength: 6 }), fc.nat(6), fc.boolean(), (labels, from, below) => {
        const host = labels.join('.');
        const domain = (below ? '*.' : '') + (labels.slice(from).join('.') || 'example');
        fc.pre(hostOfOrigin(`https://${host}`) === host);
        expect(allowsOrigin([domain], `https://${host}`)).toBe(domainsAllowing(host).includes(domain));
      }),
    );
  });

  it('has at most as many allowing domains as the longest name has labels', () => {
    const longest = `${'a.'.repeat(126)}a`;
    const domains = domainsAllowing(hostOfOrigin(`https://${longest}`)!);
    expect(domains).toHaveLength(127);
    expect(domains.join('').length).toBeLessThan(20_000);
  });

  it.each([
    ['a name that is too long', `${'a.'.repeat(127)}a`],
    ['a label that is too long', `${'a'.repeat(64)}.example`],
    ['as many labels as a header can hold', `${'a.'.repeat(8_000)}a`],
    ['a name that becomes too long in ASCII', `${'ü.'.repeat(60)}example`],
  ])('is not valid with %s', (_what, host) => {
    expect(hostOfOrigin(`https://${host}`)).toBeUndefined();
    expect(allowsOrigin([host, '*.a'], `https://${host}`)).toBe(false);
    expect(Domain.safeParse(host).success).toBe(false);
  });
});
