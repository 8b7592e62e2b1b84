import type { IncomingMessage, ServerResponse } from 'node:http';
import { Injectable } from '@nestjs/common';
import { tracedRequest } from '../tracing.js';

export type DirectListener = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Listeners beside Nest's server, for endpoints that a customer calls with every request of its own traffic: routing and
 * hooks alone would take longer than the check. The path decides who handles a request, before anything else is done
 * with it.
 */
@Injectable()
export class DirectServer {
  readonly #listeners: { readonly path: string; readonly listen: DirectListener }[] = [];
  #isClosing = false;

  /** Takes this path and all paths below it. The listener sees every method and must not throw. */
  take(path: `/${string}`, listen: DirectListener): void {
    this.#listeners.push({ path, listen });
  }

  /** From now on each response ends its connection: one that is never idle would keep the server from closing. */
  close(): void {
    this.#isClosing = true;
  }

  /** @returns false if no listener has taken the path */
  serve(request: IncomingMessage, response: ServerResponse): boolean {
    for (const { path, listen } of this.#listeners) {
      const below = positionBelow(request.url!, path);
      if (below === null) continue;
      if (this.#isClosing) response.shouldKeepAlive = false;
      tracedRequest(below ? `${path}/*` : path, request, response, () => listen(request, response));
      return true;
    }
    return false;
  }
}

/** Whether the URL is below the path; null if it is neither the path nor below it. */
function positionBelow(url: string, path: string): boolean | null {
  if (!url.startsWith(path)) return null;
  const next = url.charAt(path.length);
  if (next === '/') return true;
  return next === '' || next === '?' ? false : null;
}
