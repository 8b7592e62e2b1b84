import { BlockList, isIP, isIPv4 } from 'node:net';
import { describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { addressOf, areWithin, isWithin, Network, overlapWith } from './networks.js';

const ipv4 = fc.ipV4();
const ipv6 = fc.ipV6().filter((text) => !text.includes('.') && !/^::ffff:/i.test(text));
const network = fc.oneof(
  fc.tuple(ipv4, fc.integer({ min: 0, max: 32 })).map(([address, bits]) => `${address}/${bits}`),
  fc.tuple(ipv6, fc.integer({ min: 0, max: 128 })).map(([address, bits]) => `${address}/${bits}`),
);

/** Node's own check of an address against a network. */
function nodeSays(address: string, range: string): boolean {
  const [base, bits] = range.split('/');
  const family = isIPv4(base!) ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(base!, Number(bits), family);
  return list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
}

describe('a network', () => {
  it('contains the same addresses as in Node', () => {
    fc.assert(
      fc.property(fc.oneof(ipv4, ipv6), network, (address, range) => {
        // Node treats every IPv4 address as an IPv6 address too.
        fc.pre(isIPv4(address) === isIPv4(range.split('/')[0]!));
        expect(isWithin(address, range)).toBe(nodeSays(address, range));
      }),
    );
  });

  it('contains itself and every network within it', () => {
    fc.assert(
      fc.property(network, network, fc.oneof(ipv4, ipv6), (a, b, address) => {
        expect(isWithin(a, a)).toBe(true);
        if (isWithin(a, b) && isWithin(address, a)) expect(isWithin(address, b)).toBe(true);
      }),
    );
  });

  it('has one spelling with the same meaning', () => {
    fc.assert(
      fc.property(network, (text) => {
        const written = Network.parse(text);
        expect(isWithin(written, text) && isWithin(text, written)).toBe(true);
        expect(Network.parse(written)).toBe(written);
      }),
    );
  });

  it.each([
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['192.0.2.1/32', '192.0.2.1'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['2001:db8::1/32', '2001:db8::/32'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.0/120', '192.0.2.0/24'],
    ['0.0.0.0/0', '0.0.0.0/0'],
  ])('%s is written %s', (text, written) => {
    expect(Network.parse(text)).toBe(written);
  });

  it.each([
    '',
    '1',
    '010.0.0.1',
    '0x7f.1',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/',
    'fe80::1%eth0',
    'example.com',
    '::192.0.2.1',
    '64:ff9b::192.0.2.1',
    '::/129',
  ])('is not %p', (text) => {
    expect(Network.safeParse(text).success).toBe(false);
  });

  it('overlaps with another if one of the two contains the other', () => {
    fc.assert(
      fc.property(network, fc.oneof(network, ipv4, ipv6, fc.constant('nowhere')), (one, other) => {
        expect(overlapWith(one)(other)).toBe(isWithin(one, other) || isWithin(other, one));
      }),
    );
  });

  it('of IPv4 contains no IPv6 address, and the reverse', () => {
    expect(isWithin('::1', '0.0.0.0/0')).toBe(false);
    expect(isWithin('127.0.0.1', '::/0')).toBe(false);
  });
});

describe('lists of networks', () => {
  it('are within each other if each of the inner ones is within one of the outer ones', () => {
    fc.assert(
      fc.property(fc.array(network), fc.array(network), (inner, outer) => {
        const expected = inner.every((one) => outer.some((other) => isWithin(one, other)));
        expect(areWithin(inner, outer)).toBe(expected);
      }),
    );
  });

  it('of the greatest length are compared without parsing each network for each of the others', () => {
    const outer = listOf('2001:db8').toReversed();
    const inner = outer.map((text) => text.replace('::/64', ':0:1::/80'));
    expect(parsedBy(() => areWithin(inner.toReversed(), outer))).toBe(200);
  });

  it('are not parsed if they are equal, nor after the one that contains an address', () => {
    const outer = listOf('2001:db8');
    expect(parsedBy(() => areWithin([...outer], outer))).toBe(0);
    expect(parsedBy(() => areWithin(['2001:db8:2::1'], outer))).toBe(4);
  });

  const listOf = (base: string) => Array.from({ length: 100 }, (_, at) => `${base}:${at.toString(16)}::/64`);

  function parsedBy(compare: () => boolean): number {
    const parse = jest.spyOn(ipaddr.IPv6, 'parse');
    const result = compare();
    const { length } = parse.mock.calls;
    parse.mockRestore();
    expect(result).toBe(true);
    return length;
  }
});

describe('the address of a client', () => {
  it('has one spelling, however a proxy writes it', () => {
    const port = fc.option(fc.integer({ min: 0, max: 65_535 }), { nil: undefined });
    const zone = fc.constantFrom('', '%eth0', '%3', '%en0.1');
    const blank = fc.constantFrom('', ' ', '\t', '  ');
    const quote = fc.constantFrom('', '"');
    fc.assert(
      fc.property(
        ipv4,
        ipv6,
        port,
        zone,
        blank,
        quote,
        fc.boolean(),
        (four, six, number, suffix, space, mark, loud) => {
          const end = number === undefined ? '' : `:${number}`;
          const writtenSix = Network.parse(six);
          const given = loud ? six.toUpperCase() : six;
          const bare = end === '' ? [`${given}${suffix}`] : [];
          for (const text of [`[${given}${suffix}]${end}`, ...bare]) {
            expect(addressOf(`${space}${mark}${text}${mark}${space}`)).toBe(writtenSix);
          }
          expect(addressOf(`${space}${mark}${four}${end}${mark}${space}`)).toBe(four);
          expect(addressOf(`::ffff:${four}${suffix}`)).toBe(four);
          expect(addressOf(`[::FFFF:${four}]${end}`)).toBe(four);
        },
      ),
    );
  });

  it('is null for everything else', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'0123456789abf.:%[]"/ x'.split('')) })),
        (text) => {
          const address = addressOf(text);
          if (address === null) return;
          expect(isIP(address)).toBeGreaterThan(0);
          expect(addressOf(address)).toBe(address);
          expect(Network.parse(address)).toBe(address);
        },
      ),
    );
  });

  it.each([
    '',
    ' ',
    'unknown',
    '_hidden',
    'localhost',
    '127.1',
    '2130706433',
    '010.0.0.1',
    '0x7f.0.0.1',
    '1.2.3.4.5',
    '1.2.3.256',
    '1.2.3.4:',
    '1.2.3.4:65536',
    '1.2.3.4:x',
    '1.2.3.4%eth0',
    '[1.2.3.4]',
    '[1.2.3.4]:80',
    '1.2.3.4/32',
    '1.2.3.4, 5.6.7.8',
    '1.2.3.4 5.6.7.8',
    'for=1.2.3.4',
    '"1.2.3.4',
    "'1.2.3.4'",
    '::1%',
    '[::1',
    '::1]',
    '[::1]x',
    '[::1]:',
    '[::1]:65536',
    '[::1]443',
    '::1/128',
    '::1.2.3.4',
    '64:ff9b::1.2.3.4',
    '::ffff:010.0.0.1',
    '::ffff:1.2.3',
    '1:2:3:4:5:6:7:8:9',
    '１.2.3.4',
    '1.2.3.4\0',
    `::1%${'x'.repeat(200)}`,
  ])('is not %j', (text) => {
    expect(addressOf(text)).toBeNull();
  });
});
