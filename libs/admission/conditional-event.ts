import type { UseRecord } from '#libs/contract/use-records.js';
import type { RateLimitStatus } from './rate-limit-window.js';

/** The ids that a decision rests on, and the authorization state under which it was made. */
export interface Basis {
  readonly shard: number;
  readonly seq: number;
  readonly tag: string;
  /** The ids whose changes could change the decision. */
  readonly restsOn: readonly string[];
}

export interface Charge {
  readonly amount: number;
  /** The organization whose balance is charged, if it has one. */
  readonly organizationId?: string | undefined;
  /** The key whose limits count the request, and how many limits it has; absent if it has none. */
  readonly limited?: { readonly apiKeyId: string; readonly limits: number } | undefined;
}

/** An event to store: a use, which is stored only if its decision still holds, or one that depends on no decision. */
export type ConditionalEvent = ConditionalUse | IndependentEvent;

/** A denial, or an event that the service causes. */
export interface IndependentEvent {
  readonly shard: number;
  readonly basis: null;
  /** The text of the entry. */
  readonly entry: string;
  readonly callerBasis?: undefined;
  readonly separate?: undefined;
  readonly charge?: undefined;
}

export interface ConditionalUse {
  readonly shard: number;
  readonly basis: Basis;
  readonly use: UseRecord;
  /** A second decision that must still hold: the one about the key that asked for the verification. */
  readonly callerBasis?: Basis | undefined;
  /** Share a row only with decisions that rest on the same ids. Set after a shared row was found stale. */
  readonly separate?: boolean;
  /** The charge. The event is stored and charged together, or neither. */
  readonly charge?: Charge | undefined;
}

/**
 * - `admitted`: the event is on disk and charged. `fellBelow`: this charge took the balance below its threshold.
 * - `stale`: a change may have made the decision wrong; nothing was stored. Decide again.
 * - `not covered`: the balance does not cover the charge; nothing was stored or charged.
 * - `over a limit`: a limit of the key does not let it through; nothing was stored or charged. `by` is the limit with
 *   the longest wait, which is `retryAfter` seconds.
 *
 * `limits` is the status of the key's limits after this request.
 */
export type Outcome =
  | {
      readonly is: 'admitted';
      readonly fellBelow?: { readonly balance: number; readonly low: number };
      readonly limits?: readonly RateLimitStatus[];
    }
  | { readonly is: 'stale' }
  | { readonly is: 'not covered'; readonly limits?: readonly RateLimitStatus[] }
  | {
      readonly is: 'over a limit';
      readonly limits: readonly RateLimitStatus[];
      readonly by: RateLimitStatus;
      readonly retryAfter: number;
    };

export type Waiting = ConditionalEvent & Pending;

interface Pending {
  /** Must not throw, like `reject`. */
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: Error) => void;
  /** When its balance or limits were first found locked by another transaction: a time of `performance.now`. */
  busySince?: number;
  /** Set when its state was found changed: then `ADMIT_CHANGED` tells whether the decision still holds. */
  stateChanged?: true;
}

export type Charged = ConditionalUse & Pending & { readonly charge: Charge };

export function isCharged(waiting: Waiting): waiting is Charged {
  return waiting.charge !== undefined;
}

/** Events that were decided under the same state. They are stored, or found stale, together. */
export interface Gathered<W extends Waiting = Waiting> {
  readonly waiting: readonly W[];
}

/** The same as one row of the outbox. */
export interface Row<W extends Waiting = Waiting> extends Gathered<W> {
  readonly id: string;
}

/** A text that is equal for events that were decided under the same authorization states. */
export function stateKey({ shard, basis, callerBasis }: ConditionalEvent): string {
  if (!callerBasis) return `${shard} ${basis?.tag}`;
  return `${shard} ${basis.tag} ${callerBasis.shard} ${callerBasis.tag}`;
}

/** A text that is equal for events that share a row. */
export function rowKey(event: ConditionalEvent): string {
  if (!event.separate) return stateKey(event);
  return [stateKey(event), ...event.basis.restsOn, 'asked by', ...(event.callerBasis?.restsOn ?? [])].join(' ');
}
