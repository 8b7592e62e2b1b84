import { z } from 'zod';

const MESSAGE =
  'must be a host such as app.example.com, or *.example.com for every one below it, without scheme, port or path';

/** Letters, digits and hyphens (RFC 1123, section 2.1), and the underscore that some hosts have all the same. */
const LABELS = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/**
 * A host as browsers write it in `Origin`: lower case, international names in their ASCII form (UTS #46). Undefined for what
 * is no host.
 */
function plainHost(text: string): string | undefined {
  if (!/^[^\s/?#@:%\\*[\]]+$/.test(text)) return undefined;
  try {
    const host = new URL(`https://${text}`).hostname.replace(/\.$/, '');
    // `null` is what pages without an origin send.
    return LABELS.test(host) && host !== 'null' ? host : undefined;
  } catch {
    return undefined;
  }
}

function isAddress(host: string): boolean {
  return z.ipv4().safeParse(host).success;
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
  .max(253)
  .refine((text) => plainDomain(text) !== undefined, MESSAGE)
  .overwrite((text) => plainDomain(text) ?? text)
  .meta({ id: 'Domain', examples: ['app.example.com', '*.example.com'] });

/**
 * The allowed domains that would let an origin in: its host, and a wildcard for each domain above it. Scheme and port do
 * not count. Empty for `null`, which every sandboxed page sends, and for what is no origin; an address has no domain above.
 */
export function domainsAllowing(origin: string): string[] {
  const host = hostOfOrigin(origin);
  if (!host) return [];
  if (isAddress(host) || host.startsWith('[')) return [host];
  const labels = host.split('.');
  return [host, ...labels.slice(1).map((_, above) => `*.${labels.slice(above + 1).join('.')}`)];
}

export function allowsOrigin(domains: readonly string[], origin: string): boolean {
  const allowing = new Set(domainsAllowing(origin));
  return domains.some((domain) => allowing.has(domain));
}

/** An origin is a scheme, a host and perhaps a port (RFC 6454, section 6.2); with more than that it is none. */
function hostOfOrigin(origin: string): string | undefined {
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/?#@\\]+$/i.test(origin)) return undefined;
  try {
    // Of another scheme than the web's, such as an app's, the host would not be normalized.
    return new URL(origin.replace(/^[^:]+/, 'https')).hostname.replace(/\.$/, '') || undefined;
  } catch {
    return undefined;
  }
}
