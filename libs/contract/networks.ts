import ipaddr from 'ipaddr.js';
import { z } from 'zod';

/**
 * Addresses and networks of IPv4 and IPv6, in one notation each (RFC 5952, host bits zero, a single address without its
 * prefix length), so that equal values are equal texts. IPv4 in IPv6 (`::ffff:192.0.2.1`) is IPv4.
 */
type Range = [ipaddr.IPv4 | ipaddr.IPv6, number];

function parseNetwork(text: string): Range | undefined {
  const [base, length, ...rest] = text.split('/');
  const address = parseAddress(base!);
  if (!address || rest.length > 0) return undefined;
  const widest = address.kind() === 'ipv4' ? 32 : 128;
  const bits = length === undefined ? widest : parseLength(length);
  if (bits === undefined || bits > widest) return undefined;
  if (address instanceof ipaddr.IPv6 && bits >= 96 && isMapped(address)) {
    return [address.toIPv4Address(), bits - 96];
  }
  return [address, bits];
}

/**
 * Accepts four decimal parts, none in octal; no zone, which is meaningful on one host only; and IPv4 within IPv6 only
 * as `::ffff:`, because readers differ on the older forms (RFC 4291, section 2.5.5.1).
 */
function parseAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  if (isIPv4(text)) return ipaddr.IPv4.parse(text);
  if (!text.includes(':') || text.includes('%')) return undefined;
  const [, mapped] = /^::ffff:([\d.]+)$/i.exec(text) ?? [];
  if (text.includes('.') && !(mapped && isIPv4(mapped))) return undefined;
  try {
    return ipaddr.IPv6.parse(text);
  } catch {
    return undefined;
  }
}

/** Four decimal parts, none with a leading zero. The parser of addresses would take ten times as long to tell. */
function isIPv4(text: string): boolean {
  return z.regexes.ipv4.test(text);
}

/** Whether the address is in `::ffff:0:0/96`. The library would compare it with all special networks. */
function isMapped({ parts }: ipaddr.IPv6): boolean {
  return parts[5] === 0xffff && parts.slice(0, 5).every((part) => part === 0);
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

/** Longer than any address with its zone, port and quotes. */
const LONGEST_ADDRESS = 100;
/** `1.2.3.4:5678`; `[2001:db8::1%eth0]:443`; `2001:db8::1%eth0`. */
const IPV4_AND_PORT = /^([\d.]+):(\d{1,5})$/;
const IN_BRACKETS = /^\[([\da-f.]*:[\da-f:.]*)(?:%[^%\]]+)?\](?::(\d{1,5}))?$/i;
const WITH_ZONE = /^([\da-f.]*:[\da-f:.]*)%[^%]+$/i;

/**
 * A client's address, as a socket or a proxy writes it, in our notation: without port, brackets, quotes and zone. Null
 * for everything else: `unknown`, a list, a network, and IPv4 in octal or with fewer than four parts, which programs
 * read differently.
 */
export function addressOf(given: string): string | null {
  const text = given.trim();
  if (text.length > LONGEST_ADDRESS) return null;
  // Nearly every address is in our notation already.
  if (isIPv4(text)) return text;
  const [, unquoted = text] = /^"([^"]*)"$/.exec(text) ?? [];
  const [, inner = unquoted, port = '0'] =
    IPV4_AND_PORT.exec(unquoted) ?? IN_BRACKETS.exec(unquoted) ?? WITH_ZONE.exec(unquoted) ?? [];
  if (Number(port) > 65_535 || inner.includes('/')) return null;
  const range = parseNetwork(inner);
  return range ? write(range) : null;
}

/** The network with so many bits that contains an address or the base of a network. Null if the text is neither. */
export function networkOf(text: string, bits: { readonly ipv4: number; readonly ipv6: number }): string | null {
  const [base] = text.split('/', 1);
  const range = parseNetwork(base!);
  return range ? write([range[0], bits[range[0].kind()]]) : null;
}

/** Whether the outer network contains the inner address or the whole inner network. */
export function isWithin(inner: string, outer: string): boolean {
  return areWithin([inner], [outer]);
}

/**
 * Decides of other addresses and networks whether one of the two contains the other. Reads its own text once, for many
 * others.
 */
export function overlapWith(text: string): (other: string) => boolean {
  const own = parseNetwork(text);
  if (!own) return () => false;
  return (other) => {
    const range = parseNetwork(other);
    return range !== undefined && (contains(own, range) || contains(range, own));
  };
}

/**
 * Whether each of the inner addresses and networks is within one of the outer networks. Reads each text at most once,
 * and none that is in both lists: reading takes many times as long as comparing.
 */
export function areWithin(inner: readonly string[], outer: readonly string[]): boolean {
  const listed = new Set(outer);
  const ranges: (Range | undefined)[] = [];
  return inner.every((text) => {
    if (listed.has(text)) return true;
    const one = parseNetwork(text);
    return (
      one !== undefined &&
      outer.some((other, at) => {
        if (at === ranges.length) ranges.push(parseNetwork(other));
        const range = ranges[at];
        return range !== undefined && contains(range, one);
      })
    );
  });
}

function contains([base, bits]: Range, [address, inner]: Range): boolean {
  return address.kind() === base.kind() && inner >= bits && address.match(base, bits);
}
