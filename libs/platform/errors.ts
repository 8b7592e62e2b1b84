import { cut } from './text.js';
import { problems, type FieldError, type ProblemCode } from '#libs/contract/problem.js';

interface DomainErrorExtra {
  readonly errors?: readonly FieldError[];
  /** Seconds after which it may go better. */
  readonly retryAfter?: number;
  /** The scope that was missing. */
  readonly scope?: string;
  /** What it came from, which no caller is told. */
  readonly cause?: unknown;
}

/** An error that a caller is told about. `problems` in the contract gives its status. */
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

/** The response names no more errors than this, to stay small: more of them are one mistake made many times. */
export const MAX_ERRORS = 20;
const MAX_TEXT = 300;
const MAX_DETAIL = 1_000;

/** Invalid input found after its shape was checked, such as a scope that this deployment does not know. */
export function invalidInput(...errors: FieldError[]): DomainError {
  const told = errors
    .slice(0, MAX_ERRORS)
    .map(({ location, message }) => ({ location: cut(location, MAX_TEXT), message: cut(message, MAX_TEXT) }));
  const all = told.map(({ location, message }) => `${location} ${message}`).join('; ');
  const more = errors.length > MAX_ERRORS ? `; only the first ${MAX_ERRORS} errors are listed` : '';
  return new DomainError('invalid_request', cut(all, MAX_DETAIL) + more, { errors: told });
}
