import type { ApiKeyStatus } from '#libs/contract/api-keys.js';
import type { DomainEventType } from '#libs/contract/events.js';
import { isNotRevoked } from './revoked-at.js';

/**
 * The life of a key as a state machine, without I/O. Four instants tell its state at any time; operations set three of them,
 * and time passes the fourth. `expired`, `revoked` and `deleted` are final: no operation and no time that passes leads from
 * them to a state in which a secret of the key verifies.
 */
export interface KeyLife {
  /** From this instant on the key has expired. */
  readonly expiresAt?: Date | null | undefined;
  readonly disabledAt?: Date | null | undefined;
  /**
   * When the key was revoked, or what it depends on was. That it is set counts, not whether it has come: the clock of the
   * node that revoked the key may be ahead of ours.
   */
  readonly revokedAt?: Date | null | undefined;
  readonly deletedAt?: Date | null | undefined;
}

export type KeyState = ApiKeyStatus | 'deleted';

/** Where several apply, the first one is the state: what is final hides what is not. */
const inOrder: readonly { readonly state: KeyState; readonly applies: (life: KeyLife, now: Date) => boolean }[] = [
  { state: 'deleted', applies: ({ deletedAt }) => Boolean(deletedAt) },
  { state: 'revoked', applies: ({ revokedAt }) => Boolean(revokedAt) },
  { state: 'expired', applies: ({ expiresAt }, now) => Boolean(expiresAt && expiresAt <= now) },
  { state: 'disabled', applies: ({ disabledAt }) => Boolean(disabledAt) },
  { state: 'active', applies: () => true },
];

export function stateOf(life: KeyLife, now: Date): KeyState {
  return inOrder.find(({ applies }) => applies(life, now))!.state;
}

/** Whether nothing leads from this state to one in which a secret of the key verifies. */
export function isFinal(state: KeyState): boolean {
  return state !== 'active' && state !== 'disabled';
}

/** The state as the API shows it. The API does not show a deleted key, and the verifier calls it revoked. */
export function statusOf(life: KeyLife, now: Date): ApiKeyStatus {
  const state = stateOf(life, now);
  return state === 'deleted' ? 'revoked' : state;
}

/**
 * The status as a condition on a row `k` of `api_key`, in the same order.
 * @param now the SQL of the instant as of which it holds
 */
export function statusCondition(status: ApiKeyStatus, now: string): string {
  const isExpired = `k.expires_at <= ${now}`;
  const isNotExpired = `(k.expires_at IS NULL OR k.expires_at > ${now})`;
  return {
    revoked: `NOT ${isNotRevoked('k')}`,
    expired: `(${isNotRevoked('k')} AND ${isExpired})`,
    disabled: `(${isNotRevoked('k')} AND ${isNotExpired} AND k.disabled_at IS NOT NULL)`,
    active: `(${isNotRevoked('k')} AND ${isNotExpired} AND k.disabled_at IS NULL)`,
  }[status];
}

/**
 * Whether a row `k` of `api_key` reached its expiry unrevoked. That is an end with an event, whatever followed.
 * @param revoked the SQL of when the key was revoked
 */
export function expiredUnrevoked(now: string, revoked: string): string {
  return `(k.expires_at <= ${now} AND (${revoked} IS NULL OR k.expires_at <= ${revoked}))`;
}

/** What an operation that does not apply is answered: `conflict` for a key that has ended, `not_found` for one that is gone. */
type Rejection = 'conflict' | 'not_found';

interface Operation {
  /** What is recorded where the operation changes anything. */
  readonly event: DomainEventType;
  /** The state that it leads to, or why it does not apply. */
  readonly from: Readonly<Record<KeyState, KeyState | Rejection>>;
}

/** Every operation in every state. Where the state stays, `enable`, `disable` and `revoke` change nothing and record nothing. */
export const operations = {
  update: {
    event: 'api_key.updated',
    from: { active: 'active', disabled: 'disabled', expired: 'conflict', revoked: 'conflict', deleted: 'not_found' },
  },
  rotate: {
    event: 'api_key.rotated',
    from: { active: 'active', disabled: 'disabled', expired: 'conflict', revoked: 'conflict', deleted: 'not_found' },
  },
  enable: {
    event: 'api_key.enabled',
    from: { active: 'active', disabled: 'active', expired: 'conflict', revoked: 'conflict', deleted: 'not_found' },
  },
  disable: {
    event: 'api_key.disabled',
    from: { active: 'disabled', disabled: 'disabled', expired: 'conflict', revoked: 'conflict', deleted: 'not_found' },
  },
  revoke: {
    event: 'api_key.revoked',
    from: { active: 'revoked', disabled: 'revoked', expired: 'revoked', revoked: 'revoked', deleted: 'not_found' },
  },
  delete: {
    event: 'api_key.revoked',
    from: { active: 'deleted', disabled: 'deleted', expired: 'deleted', revoked: 'deleted', deleted: 'not_found' },
  },
} as const satisfies Record<string, Operation>;
export type KeyOperation = keyof typeof operations;

export type Transition =
  | { readonly refused: Rejection; readonly why: string }
  | {
      readonly from: KeyState;
      readonly to: KeyState;
      /** The instants that the operation sets. An update of the expiry sets that as well, if it {@link mayExpireAt} it. */
      readonly instants: Partial<Pick<KeyLife, 'disabledAt' | 'revokedAt' | 'deletedAt'>>;
    };

export function transition(life: KeyLife, operation: KeyOperation, now: Date): Transition {
  const from = stateOf(life, now);
  const to = operations[operation].from[from];
  if (to === 'conflict') return { refused: to, why: `The key is ${from} for good; create another one` };
  if (to === 'not_found') return { refused: to, why: 'There is no such API key' };
  return { from, to, instants: from === to ? {} : instantsOf(to, life, now) };
}

function instantsOf(to: KeyState, { revokedAt }: KeyLife, now: Date) {
  if (to === 'deleted') return { revokedAt: revokedAt ?? now, deletedAt: now };
  if (to === 'revoked') return { revokedAt: now };
  return { disabledAt: to === 'disabled' ? now : null };
}

export const DAY_MS = 86_400_000;
export const MAX_EXPIRY_DAYS = 3650;

export function expiryIn(days: number | undefined, now: Date): Date | null {
  return days === undefined ? null : new Date(now.getTime() + days * DAY_MS);
}

/** An expiry lies in the future, within ten years. Null for a key that does not expire. */
export function mayExpireAt(expiresAt: Date | null, now: Date): boolean {
  return expiresAt === null || (expiresAt > now && expiresAt <= expiryIn(MAX_EXPIRY_DAYS, now)!);
}

export interface SecretLife {
  readonly id: string;
  /** From then on it no longer verifies; null while it is the key's secret. */
  readonly endedAt?: Date | null;
}

/** A secret that was replaced is refused as revoked from its end on, whatever becomes of its key. */
export function hasEnded({ endedAt }: Pick<SecretLife, 'endedAt'>, now: Date): boolean {
  return Boolean(endedAt && endedAt <= now);
}

/**
 * When each secret of a key ends by a rotation: the present one after the grace period, one that lives on from an earlier
 * rotation now. So two are alive at the most.
 * @param secrets of one key, with one present secret among them
 */
export function endsByRotation(
  secrets: readonly SecretLife[],
  graceSeconds: number,
  now: Date,
): { readonly presentId: string; readonly ends: ReadonlyMap<string, Date> } {
  const present = secrets.find((secret) => !secret.endedAt)!;
  const lingering = secrets.filter((secret) => secret.endedAt && secret.endedAt > now);
  return {
    presentId: present.id,
    ends: new Map([
      ...lingering.map((secret): [string, Date] => [secret.id, now]),
      [present.id, new Date(now.getTime() + graceSeconds * 1000)],
    ]),
  };
}
