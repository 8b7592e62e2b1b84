import type { Basis, Charge } from '#libs/admission/conditional-event.js';
import type { RateLimitStatus } from '#libs/admission/rate-limit-window.js';
import type { ApiKeyPrincipal, Principal } from '#libs/auth/principal.js';
import type { VerificationCode } from '#libs/contract/verification.js';
import type { KnownKey } from './api-key-records.js';
import type { ApiKeyRecord, Demand } from './verification.js';

/** A question to the verifier: is this key good for this request? */
export interface VerificationRequest {
  /** `management` if the key calls Keyledger's own API. */
  readonly surface?: 'management';
  /** As the caller sent it: a secret, `pk:sk`, or a public key alone. */
  readonly credential: string;
  readonly scopes: readonly string[];
  /** The project that the request concerns. */
  readonly projectId?: string | undefined;
  readonly cost: number;
  /** The request that contained the key, for the event. */
  readonly endpoint: { readonly method: string | null; readonly path: string | null; readonly route?: string };
  readonly from: {
    readonly ip: string | null;
    readonly userAgent: string | null;
    readonly requestId: string;
    readonly origin: string | null;
    /** Whether the address is that of an unknown proxy. */
    readonly addressUnknown?: boolean;
  };
  /** The caller, if it asks about another principal's key, and the keys that it may ask about. */
  readonly onBehalf?: OnBehalf;
  /** Decide only, record nothing: the key is about to ask for a verification, which {@link CallingKeys} records. */
  readonly isRecordedLater?: boolean;
  /** Whether the cache may decide in an outage, if `ON_OUTAGE` allows that. */
  readonly mayGoUnrecorded?: boolean;
}

export type Tolerance = Pick<VerificationRequest, 'mayGoUnrecorded'>;

export interface OnBehalf {
  readonly caller: Principal;
  readonly sees: (record: ApiKeyRecord) => boolean;
}

export interface VerificationResult {
  readonly code: VerificationCode;
  /** The key; null for `invalid_key`. */
  readonly record: ApiKeyRecord | null;
  /** The basis on which a "yes" was admitted, or only decided if it was not recorded. */
  readonly admittedUnder?: Basis;
  /** Seconds after which a key that was `rate_limited` may be accepted. */
  readonly retryAfter?: number;
  /** An explanation beyond the code. */
  readonly detail?: string;
  /** The status of the key's rate limits, if the request was checked against them. */
  readonly limits?: readonly RateLimitStatus[];
}

/** A "yes". */
export interface Accepted extends VerificationResult {
  readonly code: 'valid';
  readonly record: ApiKeyRecord;
  readonly admittedUnder: Basis;
}

/** The key that asks about another principal's key. */
export function callingKeyOf({ onBehalf }: VerificationRequest): ApiKeyPrincipal | undefined {
  return onBehalf?.caller.type === 'api_key' ? onBehalf.caller : undefined;
}

export function demandOf({ scopes, from }: VerificationRequest, project: Demand['project']): Demand {
  const { ip, origin, addressUnknown } = from;
  return { scopes, ip: addressUnknown ? null : ip, origin, ...(project && { project }) };
}

/** @returns undefined if the use costs nothing, or the key has no balance and no limits: it then waits for no lock */
export function chargeOf({ metered, record }: KnownKey, amount: number): Charge | undefined {
  const { organizationId, apiKeyId, rateLimits } = record;
  if (amount === 0 || (!metered && rateLimits.length === 0)) return undefined;
  return {
    amount,
    ...(metered && { organizationId }),
    ...(rateLimits.length > 0 && { limited: { apiKeyId, limits: rateLimits.length } }),
  };
}

export function surfaceOf({ surface }: VerificationRequest) {
  return surface ? { surface } : {};
}

/** Additional event fields for a public key that was sent alone. */
export function publicKeyDetails({ credential }: ApiKeyRecord, { from }: VerificationRequest) {
  return credential === 'public_key' ? { credential, origin: from.origin } : {};
}
