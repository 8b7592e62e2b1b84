/**
 * The policy of a page of ours, which runs no inline script, frames nothing and asks nobody else.
 * @param styles where its styles come from, besides its own files
 * @param own further directives
 * @see https://www.w3.org/TR/CSP3/
 */
export function contentSecurityPolicy(styles: string, ...own: readonly string[]): string {
  return [
    `default-src 'none'`,
    `script-src 'self'`,
    `style-src 'self' ${styles}`,
    `img-src 'self' data:`,
    ...own,
    `connect-src 'self'`,
    `base-uri 'none'`,
    `form-action 'none'`,
    `frame-ancestors 'none'`,
  ].join('; ');
}
