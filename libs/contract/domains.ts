import { z } from 'zod';

const MESSAGE =
  'must be a host such as app.example.com, or *.example.com for every one below it, without scheme, port or path';

/** Letters, digits and hyphens (RFC 1123, section 2.1), and the underscore that some hosts have all the same. */
const LABELS = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/** RFC 1035, section 2.3.4. */
const LONGEST_HOST = 253;
const LONGEST_LABEL = 63;

function hasHostLengths(host: string): boolean {
  return host.length <= LONGEST_HOST && host.split('.').every((label) => label.length <= LONGEST_LABEL);
}

/**
 * A host as browsers write it in `Origin`: lower case, international names in their ASCII form (UTS #46). Undefined for what
 * is no host.
 */
function plainHost(text: string): string | undefined {
  if (text.length > LONGEST_HOST || !/^[^\s/?#@:%\\*[\]]+$/.test(text)) return undefined;
  try {
    const host = new URL(`https://${text}`).hostname.replace(/\.$/, '');
    // `null` is what pages without an origin send.
    return LABELS.test(host) && hasHostLengths(host) && host !== 'null' ? host : undefined;
  } catch {
    return undefined;
  }
}

/** What ends in a number is an IPv4 address, or no host at all (URL Standard, section 3.5). */
function isAddress(host: string): boolean {
  return /\.\d+$/.test(host) || host.startsWith('[');
}

/** `*.` and a name of at least two labels: a wildcard over a whole top-level domain would let everybody in. */
function plainDomain(text: string): string | undefined {
  if (!text.startsWith('*.')) return plainHost(text);
  const base = plainHost(text.slice(2));
  return base?.includes('.') && !isAddress(base) ? `*.${base}` : undefined;
}

/** An allowed domain: a host, or `*.` and a host for every subdomain of it at any depth, not for itself. */
export const Domain = z
  .string()
  .trim()
  .max(LONGEST_HOST)
  .refine((text) => plainDomain(text) !== undefined, MESSAGE)
  .overwrite((text) => plainDomain(text) ?? text)
  .meta({ id: 'Domain', examples: ['app.example.com', '*.example.com'] });

/**
 * The allowed domains that let a host in: the host itself, and a wildcard for each domain above it. An address has none
 * above. A name has at most 127 labels, so there are never more.
 */
export function domainsAllowing(host: string): string[] {
  if (isAddress(host)) return [host];
  const labels = host.split('.');
  return [host, ...labels.slice(1).map((_, above) => `*.${labels.slice(above + 1).join('.')}`)];
}

/** Scheme and port do not count. Nothing allows `null`, which every sandboxed page sends, and what is no origin. */
export function allowsOrigin(domains: readonly string[], origin: string): boolean {
  if (domains.length === 0) return false;
  const host = hostOfOrigin(origin);
  if (host === undefined) return false;
  const isName = !isAddress(host);
  return domains.some((domain) =>
    domain.startsWith('*.') ? isName && host.endsWith(domain.slice(1)) : domain === host,
  );
}

/** Of a scheme, `://`, a host and a port. */
const LONGEST_ORIGIN = 64 + 3 + LONGEST_HOST + 6;

/**
 * An origin is a scheme, a host and perhaps a port (RFC 6454, section 6.2); with more than that it is none. What is longer
 * than any origin is refused before it is looked at.
 */
export function hostOfOrigin(origin: string): string | undefined {
  if (origin.length > LONGEST_ORIGIN || !/^[a-z][a-z0-9+.-]*:\/\/[^/?#@\\]+$/i.test(origin)) return undefined;
  try {
    // Of another scheme than the web's, such as an app's, the host would not be normalized.
    const host = new URL(origin.replace(/^[^:]+/, 'https')).hostname.replace(/\.$/, '');
    return host !== '' && hasHostLengths(host) ? host : undefined;
  } catch {
    return undefined;
  }
}
