import { lazy, type ComponentType } from 'react';
import { isReachable, untilReachable } from './reachability.js';

/** In this session of the tab: the parts for which the page was loaded again. */
const RELOADED = 'keyledger-reloaded-for';

/**
 * Imports a part of the application, such as a page. While the server is away, it waits as queries do, under the same
 * banner. If the server is back and the part is still missing, another version of the dashboard was installed, or the
 * browser remembers the failure: the whole page is loaded again, once.
 */
export async function loadPart<Part>(load: () => Promise<Part>): Promise<Part> {
  try {
    return await load();
  } catch (error) {
    if (!(await isReachable())) await untilReachable();
    return load().catch(() => reloadFor(error));
  }
}

async function reloadFor(error: unknown): Promise<never> {
  const what = String(error);
  if (sessionStorage.getItem(RELOADED) === what) throw new MissingPart();
  sessionStorage.setItem(RELOADED, what);
  window.location.reload();
  // Until the browser leaves this page.
  return new Promise(() => undefined);
}

/** The server responds, but does not have a part of the application that this page needs. */
export class MissingPart extends Error {
  override readonly name = 'MissingPart';
}

/** A component of its own part, shown within `Suspense`. */
export function lazyPart<Props extends object>(load: () => Promise<ComponentType<Props>>) {
  return lazy(() => loadPart(async () => ({ default: await load() })));
}
