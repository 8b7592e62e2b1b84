/**
 * The fragment of a one-time link. It is removed from the address, and so from the history, before the first rendering,
 * and stays in memory until the page is closed.
 */
export const oneTimeToken = take();

function take(): string {
  // Pasting another link changes only the fragment, which does not load a page.
  window.addEventListener('hashchange', () => isTarget() && window.location.reload());
  if (!isTarget()) return '';
  const { pathname, search, hash } = window.location;
  if (hash) window.history.replaceState(null, '', pathname + search);
  return hash.slice(1);
}

function isTarget(): boolean {
  return ['/invitation', '/password-reset'].includes(window.location.pathname);
}
