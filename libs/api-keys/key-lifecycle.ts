import type { ApiKeyStatus } from '#libs/contract/api-key-schemas.js';
import type { DomainEventType } from '#libs/contract/events.js';
import { isNotRevoked } from './revoked-at.js';

/**
 * The life of a key as a state machine, without I/O. Four instants determine its state at any time. Operations set
 * three of them; the fourth, the expiry, takes effect when its time comes. `expired`, `revoked` and `deleted` are
 * final: neither an operation nor the passing of time leads from them to a state in which a secret of the key works.
 */
export interface KeyLife {
  /** From this instant on, the key has expired. */
  readonly expiresAt?: Date | null | undefined;
  readonly disabledAt?: Date | null | undefined;
  /**
   * When the key, or all keys of its project or member, were revoked. The key is revoked as soon as this is set, even
   * if the instant is in the future: the clock of the node that revoked the key may be ahead of ours.
   */
  readonly revokedAt?: Date | null | undefined;
  readonly deletedAt?: Date | null | undefined;
}

export type KeyState = ApiKeyStatus | 'deleted';

/** If several apply, the first one is the state: final states come before the others. */
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

/** Whether no secret of a key in this state ever works again. */
export function isFinal(state: KeyState): boolean {
  return state !== 'active' && state !== 'disabled';
}

/** The state as the API shows it. The API does not show deleted keys; the verifier reports them as revoked. */
export function statusOf(life: KeyLife, now: Date): ApiKeyStatus {
  const state = stateOf(life, now);
  return state === 'deleted' ? 'revoked' : state;
}

/**
 * SQL: whether a row `k` of `api_key` has this status, by the same order as {@link stateOf}.
 * @param now the SQL expression for the instant
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

/** The condition of the entity manager for keys that are active or disabled. */
export function notEnded(now: Date) {
  return { deletedAt: null, revokedAt: null, $or: [{ expiresAt: null }, { expiresAt: { $gt: now } }] };
}

/**
 * SQL: whether a row `k` of `api_key` reached its expiry before any revocation. Such an expiry has an event, even if
 * the key was revoked later.
 * @param revoked the SQL expression for the time of the revocation
 */
export function expiredUnrevoked(now: string, revoked: string): string {
  return `(k.expires_at <= ${now} AND (${revoked} IS NULL OR k.expires_at <= ${revoked}))`;
}

/** Why an operation does not apply: `conflict` for an expired or revoked key, `not_found` for a deleted one. */
type Rejection = 'conflict' | 'not_found';

interface Operation {
  /** The event that is recorded if the operation changes anything. */
  readonly event: DomainEventType;
  /** For each state, the state that the operation leads to, or why it does not apply. */
  readonly from: Readonly<Record<KeyState, KeyState | Rejection>>;
}

/** Every operation in every state. If the state stays the same, `enable`, `disable` and `revoke` record nothing. */
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
      /** The instants that the operation sets. An update may also set the expiry, if {@link mayExpireAt} allows it. */
      readonly instants: Partial<Pick<KeyLife, 'disabledAt' | 'revokedAt' | 'deletedAt'>> & {
        readonly enabledAt?: Date;
      };
    };

export function transition(life: KeyLife, operation: KeyOperation, now: Date): Transition {
  const from = stateOf(life, now);
  const to = operations[operation].from[from];
  if (to === 'conflict') return { refused: to, why: `The key is ${from}, which is final; create another one` };
  if (to === 'not_found') return { refused: to, why: 'There is no such API key' };
  return { from, to, instants: from === to ? {} : instantsOf(to, life, now) };
}

function instantsOf(to: KeyState, { revokedAt }: KeyLife, now: Date) {
  if (to === 'deleted') return { revokedAt: revokedAt ?? now, deletedAt: now };
  if (to === 'revoked') return { revokedAt: now };
  return to === 'disabled' ? { disabledAt: now } : { disabledAt: null, enabledAt: now };
}

export const DAY_MS = 86_400_000;
export const MAX_EXPIRY_DAYS = 3650;

export function expiryIn(days: number | undefined, now: Date): Date | null {
  return days === undefined ? null : new Date(now.getTime() + days * DAY_MS);
}

/** A new expiry must be in the future and within ten years. Null is for a key that does not expire. */
export function mayExpireAt(expiresAt: Date | null, now: Date): boolean {
  return expiresAt === null || (expiresAt > now && expiresAt <= expiryIn(MAX_EXPIRY_DAYS, now)!);
}

export interface SecretLife {
  readonly id: string;
  /** From this instant on, the secret no longer works; null for the current secret. */
  readonly endedAt?: Date | null;
}

/** From its end on, a replaced secret is denied as `revoked`, whatever the state of its key. */
export function hasEnded({ endedAt }: Pick<SecretLife, 'endedAt'>, now: Date): boolean {
  return Boolean(endedAt && endedAt <= now);
}

/**
 * When each secret of a key ends because of a rotation: the current one after the grace period, one that still works
 * after an earlier rotation now. So at most two secrets work at a time.
 * @param secrets the secrets of one key, exactly one of them current
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
