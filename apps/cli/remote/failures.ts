import type { Command } from 'commander';
import {
  ApiError,
  LostSecrets,
  NoResponse,
  SecretInAddress,
  UnexpectedRedirect,
  UnexpectedResponse,
} from '#libs/client/keyledger.js';
import { reasonOf } from '#libs/client/retries.js';
import { problems, type ProblemCode } from '#libs/contract/problem.js';
import { EXIT_NOT_SIGNED_IN, EXIT_REFUSED, EXIT_UNAVAILABLE, EXIT_USAGE } from '../exit-codes.js';
import { Failure } from './failure.js';
import { inOptions } from './input-errors.js';
import { printable } from './text.js';

/** Advice that fits the command line better than the general advice of the contract; '' if the error says everything. */
const ADVICE: Partial<Record<ProblemCode, string>> = {
  conflict: '',
  unauthenticated: 'Run `keyledger login`.',
  invalid_token: 'Run `keyledger login`.',
  invalid_refresh_token: 'The session has ended: run `keyledger login`.',
  user_required: 'Sign in with `keyledger login` and a password, and unset KEYLEDGER_API_KEY.',
};

/**
 * Converts an error of an API call into a `Failure`. Other errors are bugs and are returned unchanged.
 * @param command whose options and arguments the sentence names
 */
export function failureOf(error: unknown, command?: Command): unknown {
  if (error instanceof ApiError) return rejection(error, command);
  if (error instanceof SecretInAddress) return new Failure(error.message, EXIT_USAGE);
  if (error instanceof UnexpectedResponse) {
    return new Failure(
      'The server is not Keyledger, or is another version: check the address, or update the older of the two.',
      EXIT_UNAVAILABLE,
    );
  }
  if (error instanceof NoResponse) {
    return new Failure(
      `Keyledger does not respond at ${error.origin} (${error.reason}): start it, or set another address with \`keyledger login --url URL\` or KEYLEDGER_URL.`,
      EXIT_UNAVAILABLE,
    );
  }
  if (error instanceof UnexpectedRedirect) {
    return new Failure(
      `${printable(error.message)}: sign in at the right address with \`keyledger login --url URL\`.`,
      EXIT_UNAVAILABLE,
    );
  }
  if (error instanceof LostSecrets) {
    return new Failure(`${error.message}: rotate the key, or repeat the invitation.`, EXIT_UNAVAILABLE);
  }
  // The connection was lost in the middle of a response.
  if (error instanceof TypeError && error.message === 'terminated') {
    return new Failure(`The response is incomplete (${reasonOf(error)}): try again.`, EXIT_UNAVAILABLE);
  }
  return error;
}

function rejection({ problem, headers }: ApiError, command?: Command): Failure {
  const { code, detail, status, request_id, errors = [] } = problem;
  const places = errors
    .map((error) => (command ? inOptions(error, command) : `${error.location} ${error.message}`))
    .join('; ');
  const said = command ? detail.replace('api_keys=revoke', '--revoke-keys') : detail;
  const wait = headers.get('retry-after');
  const advice = ADVICE[code] ?? (places ? '' : problems[code].advice);
  const sentences = [`${places || said}.`, advice, wait ? `Wait ${wait} s.` : ''].filter(Boolean).join(' ');
  return new Failure(
    `${printable(sentences)} (${code}, request ${request_id})`,
    status === 401 ? EXIT_NOT_SIGNED_IN : EXIT_REFUSED,
  );
}
