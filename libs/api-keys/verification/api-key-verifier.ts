import { Injectable, Logger } from '@nestjs/common';
import type { Credential } from '#libs/api-key-format/token.js';
import { verifierOf, type ApiKeyPrincipal } from '#libs/auth/principal.js';
import type { VerificationCode } from '#libs/contract/verification.js';
import type { EventActor } from '#libs/contract/events.js';
import { Clock } from '#libs/platform/clock.js';
import { isDatabaseAway } from '#libs/database/database.js';
import { errorText } from '#libs/platform/error-text.js';
import { DomainError } from '#libs/platform/errors.js';
import { Admission } from '#libs/admission/admission.js';
import type { Basis, ConditionalUse, Outcome } from '#libs/admission/conditional-event.js';
import { AuthorizationStates } from '#libs/admission/authorization-states.js';
import { Events } from '#libs/outbox/event.js';
import { Outage } from '#libs/admission/outage.js';
import type { RateLimitStatus } from '#libs/admission/rate-limit-window.js';
import { isTracing, traced } from '#libs/platform/tracing.js';
import { describeRateLimit } from '../rate-limits.js';
import { restsOn, type Found } from './api-key-records.js';
import { CallingKeys } from './calling-keys.js';
import { Denials } from './denials.js';
import { KeyLookup } from './key-lookup.js';
import { PublicKeyRate } from './public-key-rate.js';
import { Uses } from './uses.js';
import { verificationMetrics } from './verification-metrics.js';
import {
  callingKeyOf,
  chargeOf,
  demandOf,
  publicKeyDetails,
  surfaceOf,
  type Accepted,
  type Tolerance,
  type VerificationRequest,
  type VerificationResult,
} from './verification-request.js';
import { decide } from './verification.js';

const INVALID: VerificationResult = { code: 'invalid_key', record: null };

/** How often the API decides again after a change of the state, before it gives up. */
const ATTEMPTS = 8;

/**
 * The one place where a token becomes a principal. It decides and, for a "yes", stores the use under the authorization
 * state of the decision before it returns. Only in a tolerated outage does it return the decision of the cache instead.
 */
@Injectable()
export class ApiKeyVerifier {
  readonly #logger = new Logger(ApiKeyVerifier.name);

  constructor(
    private readonly clock: Clock,
    private readonly states: AuthorizationStates,
    private readonly lookup: KeyLookup,
    private readonly events: Events,
    private readonly uses: Uses,
    private readonly admission: Admission,
    private readonly denials: Denials,
    private readonly callingKeys: CallingKeys,
    private readonly publicKeyRate: PublicKeyRate,
    private readonly outage: Outage,
  ) {}

  /** @throws DomainError `audit_unavailable` if a "yes" could not be recorded */
  verify(request: VerificationRequest): Promise<VerificationResult> {
    return new Promise((resolve, reject) => this.ask(request, resolve, reject));
  }

  /**
   * The same without promises. Nearly all requests have a good key in the cache: they are decided at once, and one call
   * of `resolve` or `reject` follows, which must not throw.
   */
  ask(
    request: VerificationRequest,
    resolve: (result: VerificationResult) => void,
    reject: (error: unknown) => void,
  ): void {
    const credential = this.lookup.parse(request.credential);
    const verify = (isStale = false) => void this.#verify(request, credential, isStale).then(resolve, reject);
    const found = credential && this.#goodAtOnce(credential, request);
    if (!found) return verify();
    const result = acceptedOf(found, request);
    if (request.isRecordedLater) return resolve(result);
    this.admission.add({
      ...this.#useOf(request, found, {
        basis: result.admittedUnder,
        callerBasis: callingKeyOf(request)?.admittedUnder,
      }),
      resolve: (outcome) => {
        if (outcome.is === 'stale') verify(true);
        else if (outcome.is === 'admitted' && !outcome.fellBelow) resolve(withLimits(result, outcome));
        else void this.#settle(request, found, result, outcome).then(resolve, reject);
      },
      reject: (error) => {
        if (this.#isTolerant(request) && isDatabaseAway(error)) verify();
        else reject(error);
      },
    });
  }

  /**
   * Decides by the cache alone, without a promise, and records nothing.
   * @returns undefined unless the cache has all that the decision needs, and it is a "yes"
   */
  decideAtOnce(request: VerificationRequest): Accepted | undefined {
    const credential = this.lookup.parse(request.credential);
    const found = credential && this.#goodAtOnce(credential, request);
    return found ? acceptedOf(found, request) : undefined;
  }

  /** @returns the key, unless the cache lacks something that the decision needs, or the decision is no "yes" */
  #goodAtOnce(credential: Credential, request: VerificationRequest): Found | undefined {
    const { projectId, onBehalf } = request;
    // Each step of a traced request has a span.
    if (isTracing() || (this.#isTolerant(request) && this.outage.isPresent)) return undefined;
    const found = this.lookup.cachedKey(credential);
    if (!found || found.known.record.credential === 'public_key' || onBehalf?.sees(found.known.record) === false)
      return undefined;
    const project = projectId ? this.lookup.cachedProject(projectId) : undefined;
    if ((projectId && !project) || !this.lookup.isProven(credential, found)) return undefined;
    return decide(found.known.record, demandOf(request, project), this.clock.now()) === 'valid' ? found : undefined;
  }

  /** @param isStale whether a change has made an earlier decision about this request wrong */
  async #verify(
    request: VerificationRequest,
    credential: Credential | null,
    isStale = false,
  ): Promise<VerificationResult> {
    if (!credential) return this.#refuseUnknown(request);
    const { onBehalf, projectId } = request;
    const caller = callingKeyOf(request);
    let callerBasis = isStale ? await this.#catchUp(caller) : caller?.admittedUnder;
    let isCounted = false;
    /** Whether the states were read by a statement that began after the request. Only then may a "no" be returned. */
    let isConfirmed = isStale;
    /** Whether the cache alone decides. It decides anew, because it may have newer data than the failed attempt. */
    let isAway = false;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const found = this.lookup.cachedKey(credential) ?? (await this.lookup.loadKey(credential));
      if (!found || onBehalf?.sees(found.known.record) === false) return this.#refuseUnknown(request);
      const isProven = this.lookup.isProven(credential, found) ?? (await this.lookup.verifySecret(credential, found));
      if (!isProven) return this.#refuseUnproven(request, found);
      const project = projectId
        ? (this.lookup.cachedProject(projectId) ?? (await this.lookup.loadProject(projectId)))
        : undefined;
      // No await from here to the append: the decision is stamped with the state under which it was made.
      if (this.states.of(found.shard) !== found.state) continue;
      const { record } = found.known;
      const code = decide(record, demandOf(request, project), this.clock.now());
      if (code !== 'valid') {
        if (isAway || isConfirmed) {
          if (caller && !isAway) await this.callingKeys.confirm(caller);
          return this.#refuse(request, found, code);
        }
        isConfirmed = await this.#refresh(request);
        isAway = !isConfirmed;
        continue;
      }
      if (record.credential === 'public_key' && !isCounted) {
        isCounted = true;
        const retryAfter = this.publicKeyRate.take(request.from.ip);
        if (retryAfter) return this.#refuseAddress(request, found, retryAfter);
      }
      const accepted = acceptedOf(found, request);
      if (request.isRecordedLater) return accepted;
      if (isAway) {
        verificationMetrics.unrecordedResponses.value += 1;
        return accepted;
      }
      const use = this.#useOf(request, found, { basis: accepted.admittedUnder, callerBasis, separate: isStale });
      const outcome = await traced('record', () => this.#record(request, use));
      if (!outcome) {
        isAway = true;
        continue;
      }
      if (outcome.is !== 'stale') return this.#settle(request, found, accepted, outcome);
      isConfirmed = isStale = true;
      callerBasis = await this.#catchUp(caller);
    }
    throw new DomainError('audit_unavailable', 'The authorization state keeps changing', { retryAfter: 1 });
  }

  /** After a stale decision: reads the states. @returns the new basis of the caller, if it is a key */
  async #catchUp(caller: ApiKeyPrincipal | undefined): Promise<Basis | undefined> {
    await this.states.refresh();
    return caller && this.callingKeys.admitAgain(caller);
  }

  async #settle(
    request: VerificationRequest,
    found: Found,
    result: VerificationResult,
    outcome: Exclude<Outcome, { is: 'stale' }>,
  ): Promise<VerificationResult> {
    if (outcome.is !== 'admitted') return this.#refuseCharge(request, found, outcome);
    if (outcome.fellBelow) await this.#recordLowBalance(found, request, outcome.fellBelow);
    return withLimits(result, outcome);
  }

  /** Records the call of a service key that is refused before a verification begins. */
  recordCall(caller: ApiKeyPrincipal): Promise<void> {
    return this.callingKeys.recordUse(caller, (use) => this.#record({ mayGoUnrecorded: true }, use));
  }

  #useOf(request: VerificationRequest, found: Found, decision: Decision): ConditionalUse {
    const { known, shard, state } = found;
    const { scopes, endpoint, cost, from, surface, onBehalf } = request;
    const use = this.uses.record({
      key: known.record,
      seq: state.seq,
      from,
      surface,
      endpoint,
      cost,
      scopes,
      verifiedBy: onBehalf && verifierOf(onBehalf.caller),
    });
    return { shard, ...decision, charge: chargeOf(known, cost), use };
  }

  /**
   * Any failure other than an outage rejects the request, a full queue included. Otherwise a caller could bypass the
   * limits by flooding the queue.
   * @returns undefined if the cache decides instead
   */
  #record(request: Tolerance, use: ConditionalUse): Promise<Outcome | undefined> {
    if (!this.#isTolerant(request)) return this.admission.append(use);
    if (!this.outage.mayTry()) return Promise.resolve(undefined);
    return this.admission.append(use).catch(fallbackIfAway(undefined));
  }

  /** @returns false if the cache decides instead */
  async #refresh(request: VerificationRequest): Promise<boolean> {
    const refreshed = async () => {
      await this.states.refresh();
      return true;
    };
    if (!this.#isTolerant(request)) return refreshed();
    return !this.outage.isPresent && refreshed().catch(fallbackIfAway(false));
  }

  #isTolerant({ mayGoUnrecorded = false }: Tolerance): boolean {
    return mayGoUnrecorded && this.outage.isTolerated;
  }

  async #refuse(request: VerificationRequest, found: Found, code: VerificationCode): Promise<VerificationResult> {
    await this.#deny(request, found, code);
    return { code, record: found.known.record };
  }

  /** For a known key with a wrong secret. The caller learns nothing of the key. */
  async #refuseUnproven(request: VerificationRequest, found: Found): Promise<VerificationResult> {
    await this.#confirmCaller(request);
    await this.#deny(request, found, 'invalid_key');
    return INVALID;
  }

  /** For an address that uses public keys too often. */
  async #refuseAddress(request: VerificationRequest, found: Found, retryAfter: number): Promise<VerificationResult> {
    await this.#confirmCaller(request);
    return { ...(await this.#refuse(request, found, 'rate_limited')), retryAfter };
  }

  /** For a key whose balance or rate limits do not cover the cost. */
  async #refuseCharge(request: VerificationRequest, found: Found, outcome: Uncovered): Promise<VerificationResult> {
    if (outcome.is === 'not covered') {
      return withLimits(await this.#refuse(request, found, 'insufficient_credits'), outcome);
    }
    const { limits, by, retryAfter } = outcome;
    const refused = await this.#refuse(request, found, 'rate_limited');
    return { ...refused, limits, retryAfter, detail: describeRateLimit(by, request.cost) };
  }

  /** For a credential that belongs to no key about which the caller may ask. */
  async #refuseUnknown(request: VerificationRequest): Promise<VerificationResult> {
    const caller = callingKeyOf(request);
    if (caller) await this.callingKeys.recordUse(caller, (use) => this.#record(request, use));
    return INVALID;
  }

  /** Call it before a "no": the calling key itself may have ended. In an outage, the cache decides that too. */
  async #confirmCaller(request: VerificationRequest): Promise<void> {
    const caller = callingKeyOf(request);
    if (caller && (await this.#refresh(request))) await this.callingKeys.confirm(caller);
  }

  /** Records `credits.low` after the use that took the balance below the threshold. A crash in between loses it. */
  async #recordLowBalance(
    { known: { record }, shard, state: { seq } }: Found,
    request: VerificationRequest,
    { balance, low }: { readonly balance: number; readonly low: number },
  ): Promise<void> {
    const entry = this.events.encode({
      type: 'credits.low',
      subject: record.organizationId,
      organizationId: record.organizationId,
      actor: { type: 'system', id: null },
      seq,
      origin: { ip: null, userAgent: null, requestId: request.from.requestId },
      data: { balance, low_below: low },
    });
    await this.admission.append({ shard, basis: null, entry }).catch((error: unknown) => {
      this.#logger.warn(`The low balance of ${record.organizationId} was not recorded: ${errorText(error)}`);
    });
  }

  #deny(request: VerificationRequest, found: Found, code: VerificationCode): Promise<void> {
    const { scopes, endpoint, from } = request;
    const { record } = found.known;
    // A caller without the right secret does not act as the key.
    const actor: EventActor =
      code === 'invalid_key' ? { type: 'anonymous', id: null } : { type: 'api_key', id: record.apiKeyId };
    const verifiedBy = request.onBehalf && verifierOf(request.onBehalf.caller);
    const details = { ...surfaceOf(request), ...endpoint, ...publicKeyDetails(record, request) };
    return this.denials.record({ found, code, scopes, details, from, actor, verifiedBy });
  }
}

/** The parts of a decision that the append of a "yes" needs. */
type Decision = Pick<ConditionalUse, 'basis' | 'callerBasis' | 'separate'>;

type Uncovered = Extract<Outcome, { is: 'not covered' | 'over a limit' }>;

function acceptedOf(found: Found, { projectId }: VerificationRequest): Accepted {
  return { code: 'valid', record: found.known.record, admittedUnder: basisOf(found, projectId) };
}

function basisOf({ known, shard, state: { seq, tag } }: Found, projectId: string | undefined): Basis {
  const ids = restsOn(known.record);
  return { shard, seq, tag, restsOn: projectId ? [...ids, projectId] : ids };
}

/** Returns an error handler that replaces an outage with a value. */
function fallbackIfAway<T>(instead: T): (error: unknown) => T {
  return (error) => {
    if (isDatabaseAway(error)) return instead;
    throw error;
  };
}

function withLimits(
  result: VerificationResult,
  { limits }: { readonly limits?: readonly RateLimitStatus[] },
): VerificationResult {
  return limits ? { ...result, limits } : result;
}
