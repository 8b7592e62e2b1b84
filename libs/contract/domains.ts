import { z } from 'zod';

const MESSAGE =
  'must be a host such as app.example.com, or *.example.com for all its subdomains, without scheme, port or path';

/** Letters, digits and hyphens (RFC 1123, section 2.1), and the underscore, which some hosts have nevertheless. */
const LABELS = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/** RFC 1035, section 2.3.4. */
const LONGEST_HOST = 253;
const LONGEST_LABEL = 63;

function hasHostLengths(host: string): boolean {
  return host.length <= LONGEST_HOST && host.split('.').every((label) => label.length <= LONGEST_LABEL);
}

/**
 * A host as browsers write it in `Origin`: lower case, international names in their ASCII form (UTS #46). Undefined if
 * the text is not a host, or is an IPv4 address in another form than four decimal numbers: programs read those in
 * different ways.
 */
function plainHost(text: string): string | undefined {
  if (text.length > LONGEST_HOST || !/^[^\s/?#@:%\\*[\]]+$/.test(text)) return undefined;
  try {
    const host = new URL(`https://${text}`).hostname.replace(/\.$/, '');
    if (isAddress(host) && host !== text.replace(/\.$/, '')) return undefined;
    // Pages without an origin send `null`.
    return LABELS.test(host) && hasHostLengths(host) && host !== 'null' ? host : undefined;
  } catch {
    return undefined;
  }
}

/** A host that ends in a number is an IPv4 address, or invalid (URL Standard, section 3.5). */
function isAddress(host: string): boolean {
  return /\.\d+$/.test(host) || host.startsWith('[');
}

/** `*.` and a name of at least two labels: a wildcard for a whole top-level domain would allow far too many hosts. */
function plainDomain(text: string): string | undefined {
  if (!text.startsWith('*.')) return plainHost(text);
  const base = plainHost(text.slice(2));
  return base?.includes('.') && !isAddress(base) ? `*.${base}` : undefined;
}

/** An allowed domain: a host, or `*.` and a host for all its subdomains at any depth, but not the host itself. */
export const Domain = z
  .string()
  .trim()
  .max(LONGEST_HOST)
  .refine((text) => plainDomain(text) !== undefined, MESSAGE)
  .overwrite((text) => plainDomain(text) ?? text)
  .meta({ id: 'Domain', examples: ['app.example.com', '*.example.com'] });

/**
 * The allowed domains that match a host: the host itself, and a wildcard for each domain above it. An address has no
 * domain above it. A name has at most 127 labels, which bounds the result.
 */
export function domainsAllowing(host: string): string[] {
  if (isAddress(host)) return [host];
  const labels = host.split('.');
  return [host, ...labels.slice(1).map((_, above) => `*.${labels.slice(above + 1).join('.')}`)];
}

/**
 * Scheme and port do not count. Never allows `null`, which every sandboxed page sends, or a text that is not an origin.
 */
export function allowsOrigin(domains: readonly string[], origin: string): boolean {
  if (domains.length === 0) return false;
  const host = hostOfOrigin(origin);
  if (host === undefined) return false;
  const isName = !isAddress(host);
  return domains.some((domain) =>
    domain.startsWith('*.') ? isName && host.endsWith(domain.slice(1)) : domain === host,
  );
}

/** A scheme, `://`, a host and a port. */
const LONGEST_ORIGIN = 64 + 3 + LONGEST_HOST + 6;

/**
 * The host of an origin: a scheme, a host and an optional port (RFC 6454, section 6.2), and nothing else. A text longer
 * than any origin is rejected unread.
 */
export function hostOfOrigin(origin: string): string | undefined {
  if (origin.length > LONGEST_ORIGIN || !/^[a-z][a-z0-9+.-]*:\/\/[^/?#@\\]+$/i.test(origin)) return undefined;
  try {
    // With another scheme than http(s), such as an app's, `URL` does not normalize the host.
    const host = new URL(origin.replace(/^[^:]+/, 'https')).hostname.replace(/\.$/, '');
    return host !== '' && hasHostLengths(host) ? host : undefined;
  } catch {
    return undefined;
  }
}
