import { ApiError } from '#libs/client/client.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import type { Remembered } from './remembered.js';

/**
 * Why something is not verified. `wrong`: what was received contradicts itself, or what was verified before. The
 * others prove nothing either way.
 */
export type Reason = 'wrong' | 'unavailable' | 'not-yet' | 'not-kept' | 'forbidden' | 'failed';

/** What an error of a verification means. */
export function reasonOf(error: unknown): Reason {
  if (error instanceof ProofError) return 'wrong';
  if (!(error instanceof ApiError)) return 'failed';
  if (error.problem.status === 410) return 'not-kept';
  switch (error.problem.code) {
    case 'checkpoint_unavailable':
      return 'unavailable';
    case 'not_found':
      return 'not-yet';
    case 'insufficient_scope':
      return 'forbidden';
    default:
      return 'failed';
  }
}

/** How a log stands, the worst first. */
export type LogState =
  | { readonly state: 'unreadable' | 'wrong' | 'unavailable' | 'failed'; readonly error: unknown }
  | { readonly state: 'alarm'; readonly remembered: Remembered }
  | { readonly state: 'wrong-entry'; readonly whole: NonNullable<Remembered['whole']> }
  | { readonly state: 'verified' | 'verifying' };

/**
 * Combines what this browser remembers of a log with the verification of its latest checkpoint. What was found wrong
 * stays, whatever came after it.
 */
export function logStateOf(
  remembered: Remembered | null | ProofError,
  latest: { readonly error: unknown; readonly isPending: boolean },
): LogState {
  if (remembered instanceof ProofError) return { state: 'unreadable', error: remembered };
  if (remembered?.alarm) return { state: 'alarm', remembered };
  if (latest.error && reasonOf(latest.error) === 'wrong') return { state: 'wrong', error: latest.error };
  if (remembered?.whole?.fault !== undefined) return { state: 'wrong-entry', whole: remembered.whole };
  if (latest.error) {
    return { state: reasonOf(latest.error) === 'unavailable' ? 'unavailable' : 'failed', error: latest.error };
  }
  return { state: latest.isPending ? 'verifying' : 'verified' };
}
