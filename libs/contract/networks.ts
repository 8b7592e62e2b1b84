import ipaddr from 'ipaddr.js';
import { z } from 'zod';

/**
 * Addresses and networks of IPv4 and IPv6. Written in one way each (RFC 5952, host bits zero, a single address without its
 * prefix length), so that equal ones are equal texts; IPv4 in IPv6 (`::ffff:192.0.2.1`) is IPv4.
 */
type Range = [ipaddr.IPv4 | ipaddr.IPv6, number];

const Address = z.union([z.ipv4(), z.ipv6()]);
const AddressAndLength = z.union([z.cidrv4(), z.cidrv6()]);

function parseNetwork(text: string): Range | undefined {
  const isNetwork = text.includes('/');
  if (!(isNetwork ? AddressAndLength : Address).safeParse(text).success) return undefined;
  const [address, bits] = ipaddr.parseCIDR(isNetwork ? text : `${text}/${text.includes(':') ? 128 : 32}`);
  if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96) {
    return [address.toIPv4Address(), bits - 96];
  }
  return [address, bits];
}

function write([address, bits]: Range): string {
  const text = `${address.toString()}/${bits}`;
  const base =
    address instanceof ipaddr.IPv4
      ? ipaddr.IPv4.networkAddressFromCIDR(text)
      : ipaddr.IPv6.networkAddressFromCIDR(text);
  const isSingle = bits === (address.kind() === 'ipv4' ? 32 : 128);
  return isSingle ? base.toString() : `${base.toString()}/${bits}`;
}

export const Network = z
  .string()
  .max(100)
  .refine(
    (text) => parseNetwork(text) !== undefined,
    'must be an address or a network such as 192.0.2.0/24 or 2001:db8::/32',
  )
  .overwrite((text) => {
    const range = parseNetwork(text);
    return range ? write(range) : text;
  })
  .meta({ id: 'Network', examples: ['192.0.2.0/24', '2001:db8::1'] });

/** Whether every address of the inner network, or the inner address, lies within the outer network. */
export function isWithin(inner: string, outer: string): boolean {
  const inside = parseNetwork(inner);
  const outside = parseNetwork(outer);
  if (!inside || !outside || inside[0].kind() !== outside[0].kind()) return false;
  return inside[1] >= outside[1] && inside[0].match(outside[0], outside[1]);
}
