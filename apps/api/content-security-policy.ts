/**
 * The content security policy of our pages: no inline scripts, no frames, no requests to other origins.
 * @param styles further allowed sources of styles, besides the page's own files
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
