/**
 * What stands behind the `#` of a one-time link. It leaves the address before anything is drawn, and so the history, too;
 * it stays in memory until the page is left.
 */
export const oneTimeToken = take();

function take(): string {
  const { pathname, search, hash } = window.location;
  if (!['/invitation', '/password-reset'].includes(pathname)) return '';
  // A second link pasted over the first only changes the fragment, which loads nothing.
  window.addEventListener('hashchange', () => window.location.reload());
  if (hash) window.history.replaceState(null, '', pathname + search);
  return hash.slice(1);
}
