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

/** Invalid input found after its shape was checked, such as a scope that this deployment does not know. */
export function invalidInput(...errors: FieldError[]): DomainError {
  return new DomainError('invalid_request', errors.map((error) => `${error.location} ${error.message}`).join('; '), {
    errors,
  });
}
