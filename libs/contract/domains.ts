import { z } from 'zod';

const MESSAGE =
  'must be a host such as app.example.com, or *.example.com for every one below it, without scheme, port or path';

/**
 * A host as browsers write it in `Origin`: lower case, international names in their ASCII form (UTS #46). Undefined for what
 * is no host.
 */
function plainHost(text: string): string | undefined {
  if (!/^[^\s/?#@:%\\*[\]]+$/.test(text)) return undefined;
  try {
    return new URL(`https://${text}`).hostname.replace(/\.$/, '');
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
