import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { Injectable } from '@nestjs/common';
import { isTracing, tracedRequest } from '../tracing.js';

export type DirectListener = (request: IncomingMessage, response: ServerResponse) => void;
/** Calls `handOn` instead of responding, with the body unread, for a request that Nest's route is to handle. */
type SelectiveListener = (request: IncomingMessage, response: ServerResponse, handOn: RequestListener) => void;

/**
 * Listeners beside Nest's server, for endpoints that a customer calls with every request of its own traffic: routing and
 * hooks alone would take longer than the check. The path decides who handles a request, before anything else is done
 * with it.
 */
@Injectable()
export class DirectServer {
  readonly #listeners: { readonly path: string; readonly listen: DirectListener }[] = [];
  readonly #selective = new Map<string, { readonly method: string; readonly listen: SelectiveListener }>();
  #isClosing = false;

  /** Takes this path and all paths below it. The listener sees every method and must not throw. */
  take(path: `/${string}`, listen: DirectListener): void {
    this.#listeners.push({ path, listen });
  }

  /**
   * Offers the requests for exactly this path, without a query, to a listener before Nest's route of that path sees them.
   * The listener must not throw. It sees no traced requests, because their spans belong to the steps of the route.
   */
  offer(method: string, path: `/${string}`, listen: SelectiveListener): void {
    this.#selective.set(path, { method, listen });
  }

  /** From now on each response ends its connection: one that is never idle would keep the server from closing. */
  close(): void {
    this.#isClosing = true;
  }

  /** @param handOn Nest's server, for all requests that no listener handles */
  serve(request: IncomingMessage, response: ServerResponse, handOn: RequestListener): void {
    for (const { path, listen } of this.#listeners) {
      const below = positionBelow(request.url!, path);
      if (below === null) continue;
      if (this.#isClosing) response.shouldKeepAlive = false;
      tracedRequest(below ? `${path}/*` : path, request, response, () => listen(request, response));
      return;
    }
    const selective = this.#selective.get(request.url!);
    if (selective?.method !== request.method || this.#isClosing || isTracing()) handOn(request, response);
    else selective!.listen(request, response, handOn);
  }
}

/** Whether the URL is below the path; null if it is neither the path nor below it. */
function positionBelow(url: string, path: string): boolean | null {
  if (!url.startsWith(path)) return null;
  const next = url.charAt(path.length);
  if (next === '/') return true;
  return next === '' || next === '?' ? false : null;
}
