import { EXIT_UNAVAILABLE } from '../exit-codes.js';
import { Failure } from './failure.js';

/** The time until a response begins; the response itself may take longer. */
const RESPONSE_DEADLINE_MS = 30_000;

/**
 * Sends requests to one server only: following a redirect would send the credentials to another.
 * @param stop aborts a request, and the reading of its response
 * @throws Failure if the server does not respond
 */
export function sendTo(url: string, stop?: AbortSignal): typeof fetch {
  return async (input, init) => {
    const deadline = new AbortController();
    const timer = setTimeout(
      () => deadline.abort(new Error(`no response within ${RESPONSE_DEADLINE_MS / 1000} s`)),
      RESPONSE_DEADLINE_MS,
    );
    const signal = stop ? AbortSignal.any([stop, deadline.signal]) : deadline.signal;
    try {
      const response = await fetch(input, { ...init, redirect: 'manual', signal });
      if (response.status >= 300 && response.status < 400) throw redirected(url, response);
      return response;
    } catch (error) {
      if (error instanceof Failure || stop?.aborted) throw error;
      throw new Failure(
        `Keyledger does not respond at ${url} (${reasonOf(error)}): start it, or set another address with \`keyledger login --url URL\` or KEYLEDGER_URL.`,
        EXIT_UNAVAILABLE,
      );
    } finally {
      clearTimeout(timer);
    }
  };
}

function redirected(url: string, response: Response): Failure {
  const target = response.headers.get('location') ?? 'elsewhere';
  return new Failure(
    `${url} redirects to ${target}, and credentials are not sent there: sign in at the right address with \`keyledger login --url URL\`.`,
    EXIT_UNAVAILABLE,
  );
}

/** The network error, which the runtime wraps in `fetch failed`. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  if (code) return code;
  return error.cause === undefined ? error.message : reasonOf(error.cause);
}
