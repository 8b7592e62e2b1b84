import type { RateLimitStatus } from './rate-limit-window.js';

/** What a decision rests on, and the authorization state as of which it was made. */
export interface Basis {
  readonly shard: number;
  readonly seq: number;
  readonly tag: string;
  /** The ids of all whose changes could make the decision another one. */
  readonly restsOn: readonly string[];
}

export interface Charge {
  readonly amount: number;
  /** Whose balance pays; absent where there is none. */
  readonly organizationId?: string | undefined;
  /** The key whose limits it counts against, and how many these are; absent where it has none. */
  readonly limited?: { readonly apiKeyId: string; readonly limits: number } | undefined;
}

/** An event that is stored only if nothing has changed of what its decision rests on. */
export interface ConditionalEvent {
  readonly shard: number;
  /** Null for an event that needs no permission: a denial. */
  readonly basis: Basis | null;
  /** The second decision that has to hold: the one about the key that asked for the verification. */
  readonly callerBasis?: Basis | undefined;
  /** Share a row only with decisions that rest on the same ids. Set after a row with other decisions was found stale. */
  readonly apart?: boolean;
  /** What it takes: stored and taken together, or neither. */
  readonly charge?: Charge | undefined;
  /** The text of the event. */
  readonly entry: string;
}

/**
 * - `admitted`: the event is on disk, and paid for. `fellBelow`: with it the balance fell below what its owner calls low.
 * - `stale`: something changed that the decision rests on, or may rest on; nothing was stored. Decide again.
 * - `not covered`: the balance does not reach, nothing was stored or taken.
 * - `over a limit`: a limit of the key does not let it through, nothing was stored or taken. `by` is the one that it would
 *   wait for the longest, until `retryAfter` seconds have passed.
 *
 * `limits` are those of the key as the response leaves them.
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

export interface Waiting extends ConditionalEvent {
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: Error) => void;
  /** When it first found its balance or its limits locked by another transaction, in milliseconds of `performance.now`. */
  busySince?: number;
}

export interface Charged extends Waiting {
  readonly charge: NonNullable<ConditionalEvent['charge']>;
}

/** Events decided under the same state: they are stored, or are found stale, together. */
export interface Row<W extends Waiting = Waiting> {
  readonly id: string;
  readonly waiting: readonly W[];
}

/** A text that is the same for events decided under the same authorization states. */
export function stateKey({ shard, basis, callerBasis }: ConditionalEvent): string {
  if (!callerBasis) return `${shard} ${basis?.tag}`;
  const { shard: callerShard, tag, restsOn } = callerBasis;
  return `${shard} ${basis?.tag} ${callerShard} ${tag} ${restsOn.join(' ')}`;
}

/** A text that is the same for events that share a row: they are stored, or found stale, together. */
export function rowKey(event: ConditionalEvent): string {
  return event.apart ? `${stateKey(event)} ${event.basis?.restsOn.join(' ')}` : stateKey(event);
}
