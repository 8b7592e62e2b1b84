import ky, { isHTTPError, isNetworkError, isTimeoutError, type RetryOptions } from 'ky';
import { noteRepeated } from './repeated.js';

export interface Patience {
  /** The longest that one attempt may take until its response begins, in milliseconds. */
  readonly timeoutMs: number;
  /** How often a call is repeated at most. */
  readonly retries: number;
  /** Ends attempts, pauses, and the reading of responses. */
  readonly signal?: AbortSignal;
  readonly fetch?: typeof fetch;
}

/**
 * Thrown if the server could not be reached, or began no response within the timeout, also at the last attempt. `cause` is
 * the error of `fetch`. It holds neither the request nor its credential, which a log would print.
 */
export class NoResponse extends Error {
  constructor(
    override readonly name: 'NetworkError' | 'TimeoutError',
    /** The scheme, host and port that was asked. */
    readonly origin: string,
    /** A code such as `ECONNREFUSED`, or a short text. */
    readonly reason: string,
    cause?: unknown,
  ) {
    super(`Keyledger does not respond at ${origin}: ${reason}`, { cause });
  }
}

const REPEATABLE = new Set(['GET', 'HEAD', 'DELETE']);
const RATE_LIMITED = 429;
/** Of a server or proxy that is away for a moment. */
const AWAY = [502, 503, 504];
/** A server that asks for a longer pause gets no repeated call: the caller gets its response at once. */
const LONGEST_PAUSE_SECONDS = 30;

/**
 * A `fetch` that waits a bounded time, and repeats what is safe to repeat, with pauses that grow or that `Retry-After`
 * asks for: a call that was rate-limited; and, if the connection fails or the server is away, a call that changes
 * nothing when it comes twice: GET, DELETE, and those with an `Idempotency-Key`.
 *
 * @throws NoResponse; other errors of the given `fetch` pass as they are, and the call is not repeated
 */
export function withRetries({ timeoutMs, retries, signal, fetch: send = fetch }: Patience): typeof fetch {
  return async (input, init = {}) => {
    const method = init.method ?? 'GET';
    const isRepeatable = REPEATABLE.has(method) || new Headers(init.headers).has('idempotency-key');
    const statusCodes = isRepeatable ? [RATE_LIMITED, ...AWAY] : [RATE_LIMITED];
    const retry: RetryOptions = {
      limit: retries,
      methods: [method.toLowerCase()],
      statusCodes,
      afterStatusCodes: statusCodes,
      maxRetryAfter: LONGEST_PAUSE_SECONDS * 1000,
      jitter: true,
      shouldRetry: ({ error }) =>
        isHTTPError(error) ? asksForBriefPause(error.response) && undefined : isRepeatable && isFailedConnection(error),
    };
    const throwHttpErrors = (status: number) => statusCodes.includes(status);
    const attempt = followed(send);
    const own = { retry, throwHttpErrors, timeout: timeoutMs, fetch: attempt.fetch };
    try {
      const response = endingWith(signal, await ky(input, { ...init, ...own, ...(signal && { signal }) }));
      return attempt.isRepeated() ? noteRepeated(response) : response;
    } catch (error) {
      if (isFailedConnection(error)) throw noResponse(error as Error, new Request(input).url, timeoutMs);
      if (!isHTTPError(error)) throw error;
      const { data, response } = error;
      return new Response(typeof data === 'string' ? data : JSON.stringify(data), response);
    }
  };
}

/** A `fetch`, and whether an attempt before the last one may have had its effect: one that was rate-limited had none. */
function followed(send: typeof fetch): { readonly fetch: typeof fetch; readonly isRepeated: () => boolean } {
  const outcomes: (number | 'lost')[] = [];
  return {
    async fetch(...request) {
      const place = outcomes.push('lost') - 1;
      try {
        const response = await send(...request);
        outcomes[place] = response.status;
        return response;
      } catch (error) {
        throw asNodeThrows(error);
      }
    },
    isRepeated: () => outcomes.slice(0, -1).some((outcome) => outcome !== RATE_LIMITED),
  };
}

/** The runtime itself forgets the signal of a request when it collects the request as garbage. */
function endingWith(signal: AbortSignal | undefined, response: Response): Response {
  if (!signal || !response.body) return response;
  return new Response(response.body.pipeThrough(new TransformStream(), { signal }), response);
}

/** Bun throws the error of the connection itself, with a code. Node wraps it, as ky expects. */
function asNodeThrows(error: unknown): unknown {
  const isOfConnection = error instanceof TypeError && 'code' in error && /^E[A-Z]+$/.test(String(error.code));
  return isOfConnection ? new TypeError('fetch failed', { cause: error }) : error;
}

function isFailedConnection(error: unknown): boolean {
  return isNetworkError(error) || isTimeoutError(error);
}

function noResponse(error: Error, url: string, timeoutMs: number): NoResponse {
  const { origin } = new URL(url);
  return isTimeoutError(error)
    ? new NoResponse('TimeoutError', origin, `no response within ${timeoutMs / 1000} s`)
    : new NoResponse('NetworkError', origin, reasonOf(error.cause), error.cause);
}

/** The runtime wraps the error of the connection, which has a code, in one whose message is `fetch failed`. */
export function reasonOf(error: unknown): string {
  const { code, cause, message } = Object(error) as { code?: string; cause?: unknown; message?: string };
  return code ?? (cause === undefined ? (message ?? String(error)) : reasonOf(cause));
}

function asksForBriefPause({ headers }: Response): boolean {
  const retryAfter = headers.get('retry-after') ?? '0';
  const seconds = /^\d+$/.test(retryAfter) ? Number(retryAfter) : (Date.parse(retryAfter) - Date.now()) / 1000;
  return !(seconds > LONGEST_PAUSE_SECONDS);
}
