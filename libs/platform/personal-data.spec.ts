import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isWithin } from '#libs/contract/networks.js';
import { recordedAddress, recordedUserAgent } from './personal-data.js';

describe('the address of a client', () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6());

  it('is recorded as its network and never in full', () => {
    fc.assert(
      fc.property(address, (ip) => {
        const network = recordedAddress(ip, 'network');
        if (network === null) return expect(ip).toContain('.');
        expect(network).toMatch(/\/(24|48)$/);
        expect(isWithin(ip, network)).toBe(true);
        expect(recordedAddress(network, 'network')).toBe(network);
      }),
    );
  });

  it.each([
    ['203.0.113.77', '203.0.113.0/24'],
    ['::ffff:203.0.113.77', '203.0.113.0/24'],
    ['::FFFF:cb00:714d', '203.0.113.0/24'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1::/48'],
    ['203.0.113.77/32', '203.0.113.0/24'],
    ['ada@example.com', null],
    ['unknown', null],
    ['', null],
  ])('%s becomes %s', (ip, network) => expect(recordedAddress(ip, 'network')).toBe(network));

  it('is omitted or kept, as the setting says', () => {
    fc.assert(
      fc.property(address, (ip) => {
        expect(recordedAddress(ip, 'none')).toBeNull();
        expect(recordedAddress(ip, 'full')).toBe(ip);
      }),
    );
    expect(recordedAddress(null, 'full')).toBeNull();
  });
});

describe('a user agent', () => {
  it.each([
    ['curl/8.5.0', 'curl'],
    ['python-requests/2.31.0', 'python-requests'],
    ['Go-http-client/2.0', 'Go-http-client'],
    ['node', 'node'],
    ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'Firefox'],
    ['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36', 'Chrome'],
    [
      'Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0',
      'Edge',
    ],
    [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1',
      'Safari',
    ],
    ['Ada Lovelace', 'other'],
    ['ada@example.com', 'other'],
    ['203.0.113.77', 'other'],
    ['203.0.113.77/8', 'other'],
    ['', 'other'],
  ])('%s is recorded by its family as %s', (userAgent, family) =>
    expect(recordedUserAgent(userAgent, 'family')).toBe(family),
  );

  it('never has a version, an address or an e-mail address in its family', () => {
    const sent = fc.oneof(fc.string(), fc.emailAddress(), fc.ipV4(), fc.ipV6(), fc.constantFrom('curl/', 'Firefox/'));
    fc.assert(
      fc.property(fc.array(sent, { maxLength: 6 }), fc.constantFrom('', ' ', '/', '@'), (parts, between) => {
        expect(recordedUserAgent(parts.join(between), 'family')).toMatch(/^[A-Za-z -]{1,32}$/);
        expect(recordedUserAgent(parts.join(between), 'none')).toBeNull();
      }),
    );
  });
});
