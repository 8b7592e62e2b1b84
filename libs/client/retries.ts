import ky, { isHTTPError, type RetryOptions } from 'ky';

export interface Patience {
  /** The longest that one attempt may take until its response begins, in milliseconds. */
  readonly timeoutMs: number;
  /** How often a call is repeated at most. */
  readonly retries: number;
  readonly fetch?: typeof fetch;
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
 */
export function withRetries({ timeoutMs, retries, fetch: send = fetch }: Patience): typeof fetch {
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
      shouldRetry: ({ error }) => (isHTTPError(error) ? asksForBriefPause(error.response) && undefined : isRepeatable),
    };
    const throwHttpErrors = (status: number) => statusCodes.includes(status);
    let attempts = 0;
    const counting: typeof fetch = (...request) => {
      attempts++;
      return send(...request);
    };
    try {
      const response = await ky(input, { ...init, retry, throwHttpErrors, timeout: timeoutMs, fetch: counting });
      // An attempt whose response was lost has deleted it.
      const isGone = method === 'DELETE' && attempts > 1 && response.status === 404;
      return isGone ? new Response(null, { status: 204 }) : response;
    } catch (error) {
      if (!isHTTPError(error)) throw withoutRequest(error as Error);
      const { data, response } = error;
      return new Response(typeof data === 'string' ? data : JSON.stringify(data), response);
    }
  };
}

/** The errors of ky have the request with its credential, which a log would print. */
function withoutRequest({ name, message, cause }: Error): Error {
  return Object.assign(new Error(message, { cause }), { name });
}

function asksForBriefPause({ headers }: Response): boolean {
  const retryAfter = headers.get('retry-after') ?? '0';
  const seconds = /^\d+$/.test(retryAfter) ? Number(retryAfter) : (Date.parse(retryAfter) - Date.now()) / 1000;
  return !(seconds > LONGEST_PAUSE_SECONDS);
}
