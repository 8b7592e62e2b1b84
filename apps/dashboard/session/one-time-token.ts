/**
 * The fragment of a one-time link. It is removed from the address, and so from the history, before the first rendering,
 * and stays in memory until the page is closed.
 */
export const oneTimeToken = take();

function take(): string {
  const { pathname, search, hash } = window.location;
  if (!['/invitation', '/password-reset'].includes(pathname)) return '';
  // Pasting another link changes only the fragment, which does not load a page.
  window.addEventListener('hashchange', () => window.location.reload());
  if (hash) window.history.replaceState(null, '', pathname + search);
  return hash.slice(1);
}
