import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { addressOf } from '#libs/contract/networks.js';
import { Proxies } from './proxies.js';

const proxies = new Proxies(['10.0.0.0/8', '2001:db8:ffff::/48']);
const from = (peer: string, forwarded?: string) =>
  proxies.clientOf({ socket: { remoteAddress: peer }, headers: { 'x-forwarded-for': forwarded } });

const ours = fc.constantFrom('10.0.0.1', '10.255.0.1:443', '::ffff:10.1.2.3', '[2001:db8:ffff::7]:8080', '"10.0.0.9"');
const theirs = fc.constantFrom('203.0.113.7', '[2001:db8::1]:443', '198.51.100.9:1', '2001:DB8::2', '127.0.0.1');
const none = fc.constantFrom(
  '',
  ' ',
  'unknown',
  '_hidden',
  '10.1',
  '010.0.0.1',
  '10.0.0.1 10.0.0.2',
  '10.0.0.0/8',
  'x',
);
const anything = fc.array(
  fc.oneof(
    ours,
    theirs,
    none,
    fc.string().map((text) => text.replaceAll(',', '')),
  ),
  { maxLength: 5 },
);
const gap = fc.constantFrom(',', ', ', ' ,\t');

describe('the address of a client', () => {
  it('is the last forwarded address that is not a trusted proxy', () => {
    fc.assert(
      fc.property(anything, theirs, fc.array(ours, { maxLength: 5 }), gap, (before, client, after, comma) => {
        expect(from('10.9.9.9', [...before, client, ...after].join(comma))).toBe(addressOf(client));
      }),
    );
  });

  it.each(['forwarded', 'x-real-ip', 'x-forwarded-proto', 'x-forwarded-host'])(
    'is unknown if a trusted proxy sends only %s: it is not that of the proxy',
    (name) => {
      const headers = { [name]: 'for=203.0.113.7' };
      expect(proxies.clientOf({ socket: { remoteAddress: '10.0.0.1' }, headers })).toBeNull();
      expect(proxies.clientOf({ socket: { remoteAddress: '10.0.0.1' }, headers: {} })).toBe('10.0.0.1');
    },
  );

  it('is unknown if that text is not an address', () => {
    fc.assert(
      fc.property(anything, none, fc.array(ours, { maxLength: 5 }), gap, (before, garbage, after, comma) => {
        expect(from('10.9.9.9', [...before, garbage, ...after].join(comma))).toBeNull();
      }),
    );
  });

  it('is the peer of the connection unless a trusted proxy says otherwise', () => {
    fc.assert(
      fc.property(anything, gap, (claims, comma) => {
        expect(from('203.0.113.5', claims.join(comma))).toBe('203.0.113.5');
      }),
    );
    expect(from('::ffff:203.0.113.5')).toBe('203.0.113.5');
    expect(from('fe80::1%eth0')).toBe('fe80::1');
  });

  it('is the first address if all are trusted proxies', () => {
    expect(from('10.0.0.1', '10.0.0.3, 10.0.0.2')).toBe('10.0.0.3');
    expect(from('10.0.0.1')).toBe('10.0.0.1');
  });

  it('is not searched for behind too many proxies', () => {
    const chain = (length: number) => ['203.0.113.7', ...Array<string>(length).fill('10.0.0.2')].join(',');
    expect(from('10.0.0.1', chain(19))).toBe('203.0.113.7');
    expect(from('10.0.0.1', chain(20))).toBeNull();
    expect(from('10.0.0.1', chain(1_000_000))).toBeNull();
  });
});

describe('a proxy', () => {
  it('is recognized in IPv4 and IPv4-mapped IPv6 form', () => {
    expect(['10.1.1.1', '::ffff:10.1.1.1', '2001:db8:ffff::1'].every((peer) => proxies.has(peer))).toBe(true);
    expect(['11.0.0.1', '::1', '2001:db8::1', undefined].some((peer) => proxies.has(peer))).toBe(false);
    expect(new Proxies().has('127.0.0.1')).toBe(false);
  });
});
