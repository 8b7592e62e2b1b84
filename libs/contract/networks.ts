import ipaddr from 'ipaddr.js';
import { z } from 'zod';

/**
 * Addresses and networks of IPv4 and IPv6. Written in one way each (RFC 5952, host bits zero, a single address without its
 * prefix length), so that equal ones are equal texts; IPv4 in IPv6 (`::ffff:192.0.2.1`) is IPv4.
 */
type Range = [ipaddr.IPv4 | ipaddr.IPv6, number];

function parseNetwork(text: string): Range | undefined {
  const [base, length, ...rest] = text.split('/');
  const address = parseAddress(base!);
  if (!address || rest.length > 0) return undefined;
  const widest = address.kind() === 'ipv4' ? 32 : 128;
  const bits = length === undefined ? widest : parseLength(length);
  if (bits === undefined || bits > widest) return undefined;
  if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96) {
    return [address.toIPv4Address(), bits - 96];
  }
  return [address, bits];
}

/**
 * Four decimal parts, none of them octal; no zone, which says something about one host alone; and IPv4 within IPv6 as
 * `::ffff:` alone, for the older forms (RFC 4291, section 2.5.5.1) mean different things to different readers.
 */
function parseAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  if (!ipaddr.IPv6.isValid(text) || text.includes('%')) return undefined;
  return text.includes('.') && !/^::ffff:[\d.]+$/i.test(text) ? undefined : ipaddr.IPv6.parse(text);
}

function parseLength(text: string): number | undefined {
  return /^\d{1,3}$/.test(text) ? Number(text) : undefined;
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
