import { cut } from './text.js';
import { problems, type FieldError, type ProblemCode } from '#libs/contract/problem.js';

interface DomainErrorExtra {
  readonly errors?: readonly FieldError[];
  /** Seconds after which the caller may try again. */
  readonly retryAfter?: number;
  /** The missing scope. */
  readonly scope?: string;
  /** The original error, never shown to a caller. */
  readonly cause?: unknown;
}

/** An error that the caller sees. `problems` in the contract gives its status. */
export class DomainError extends Error {
  override readonly name = 'DomainError';

  constructor(
    readonly code: ProblemCode,
    detail: string = problems[code].title,
    readonly extra: DomainErrorExtra = {},
  ) {
    super(detail, { cause: extra.cause });
  }
}

/** A response lists at most this many errors, to stay small: more of them are usually one mistake repeated. */
export const MAX_ERRORS = 20;
const MAX_TEXT = 300;
const MAX_DETAIL = 1_000;

/** Invalid input found after the check of its shape, such as a scope that this deployment does not know. */
export function invalidInput(...errors: FieldError[]): DomainError {
  const listed = errors
    .slice(0, MAX_ERRORS)
    .map(({ location, message }) => ({ location: cut(location, MAX_TEXT), message: cut(message, MAX_TEXT) }));
  const all = listed.map(({ location, message }) => `${location} ${message}`).join('; ');
  const more = errors.length > MAX_ERRORS ? `; only the first ${MAX_ERRORS} errors are listed` : '';
  return new DomainError('invalid_request', cut(all, MAX_DETAIL) + more, { errors: listed });
}
