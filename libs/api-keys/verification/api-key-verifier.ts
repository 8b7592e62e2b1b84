import { Injectable, Logger } from '@nestjs/common';
import { parseCredential, type Credential } from '#libs/api-key-format/token.js';
import { actorOf, type ApiKeyPrincipal, type Guard, type Principal } from '#libs/auth/principal.js';
import type { VerificationCode } from '#libs/contract/api-keys.js';
import type { EventActor } from '#libs/contract/events.js';
import { Clock } from '#libs/platform/clock.js';
import { DomainError } from '#libs/platform/errors.js';
import { Admission } from '#libs/platform/events/admission.js';
import { Events } from '#libs/platform/events/event.js';
import { whereFrom } from '#libs/platform/request-context.js';
import { aboutProject } from '../api-key.js';
import { ApiKeyRecords, type LoadedRecord } from './api-key-records.js';
import { Denials } from './denials.js';
import { PublicKeyRate } from './public-key-rate.js';
import { Secrets } from './secrets.js';
import { decide, type ApiKeyRecord, type Demand } from './verification.js';

/** One question to the verifier: is this key good for this request? */
export interface VerificationRequest {
  /** As it was shown: a secret, `pk:sk`, or a public key alone. */
  readonly credential: string;
  readonly scopes: readonly string[];
  /** What the request is about. */
  readonly projectId?: string | undefined;
  readonly cost: number;
  /** The request that the key came with, for the record. */
  readonly endpoint: { readonly method: string | null; readonly path: string | null };
  readonly from: {
    readonly ip: string | null;
    readonly userAgent: string | null;
    readonly requestId: string;
    readonly origin: string | null;
    /** Whether the address is that of a proxy which nobody vouches for. */
    readonly addressUnknown?: boolean;
  };
  /** Who asks on behalf of somebody else, and whose keys they may ask about. */
  readonly onBehalf?: OnBehalf;
}

export interface OnBehalf {
  readonly caller: Principal;
  readonly sees: (record: ApiKeyRecord) => boolean;
}

export interface VerificationResult {
  readonly code: VerificationCode;
  /** What is known of the key; null for `invalid_key`. */
  readonly record: ApiKeyRecord | null;
  /** The state under which a "yes" was admitted. */
  readonly admittedUnder?: Guard;
  /** Seconds until `rate_limited` may be another answer. */
  readonly retryAfter?: number;
}

const INVALID: VerificationResult = { code: 'invalid_key', record: null };

/** How often a decision is made anew because the state moved under it, before we say that we cannot. */
const ATTEMPTS = 5;

/**
 * The one place where a token becomes a principal: decides, and for a "yes" stores the use under the state it was decided
 * under, before anybody is told.
 */
@Injectable()
export class ApiKeyVerifier {
  readonly #logger = new Logger(ApiKeyVerifier.name);

  constructor(
    private readonly clock: Clock,
    private readonly records: ApiKeyRecords,
    private readonly secrets: Secrets,
    private readonly events: Events,
    private readonly admission: Admission,
    private readonly denials: Denials,
    private readonly publicKeyRate: PublicKeyRate,
  ) {}

  /** @throws DomainError `audit_unavailable` when a "yes" could not be recorded. */
  async verify(request: VerificationRequest): Promise<VerificationResult> {
    const credential = parseCredential(request.credential);
    if (!credential) return INVALID;
    const { onBehalf } = request;
    const caller = onBehalf?.caller.type === 'api_key' ? onBehalf.caller : undefined;
    let callerGuard = caller?.admittedUnder;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const loaded = await this.#load(credential);
      if (!loaded || onBehalf?.sees(loaded.record) === false) return INVALID;
      const { record, shard, tag } = loaded;
      if (!(await this.#isHeld(credential, record))) {
        await this.#deny(request, loaded, 'invalid_key');
        return INVALID;
      }
      const code = decide(record, await this.#demand(request), this.clock.now());
      if (code !== 'valid') return this.#refuse(request, loaded, code);
      if (attempt === 0 && record.credential === 'public_key') {
        const retryAfter = await this.publicKeyRate.take(request.from.ip);
        if (retryAfter) return { ...(await this.#refuse(request, loaded, 'rate_limited')), retryAfter };
      }
      const entry = this.#used(request, loaded);
      const charge =
        loaded.metered && request.cost > 0
          ? { organizationId: record.organizationId, amount: request.cost }
          : undefined;
      const outcome = await this.admission.append({ shard, tag, callerGuard, charge, entry });
      if (outcome.is === 'admitted') {
        if (outcome.fellBelow) await this.#tellLow(loaded, request, outcome.fellBelow);
        return { code, record, admittedUnder: { shard, tag } };
      }
      if (outcome.is === 'not covered') return this.#refuse(request, loaded, 'insufficient_credits');
      if (caller) callerGuard = await this.#admitAgain(caller);
    }
    throw new DomainError('audit_unavailable', 'The authorization state keeps changing', { retryAfter: 1 });
  }

  #load({ secret, publicKey }: Credential): Promise<LoadedRecord | null> {
    return secret ? this.records.byHandle(secret.handle) : this.records.byPublicKey(publicKey!.token);
  }

  /** Of a pair both halves have to be of one key; a public key alone proves nothing and is asked for its origin later. */
  async #isHeld({ secret, publicKey }: Credential, record: ApiKeyRecord): Promise<boolean> {
    if (publicKey && publicKey.token !== record.publicKey) return false;
    return !secret || (record.secretHash !== null && this.secrets.matches(record.secretHash, secret.token));
  }

  /** Read after the state, so that a project which goes meanwhile makes the append find it moved. */
  async #demand({ scopes, projectId, from }: VerificationRequest): Promise<Demand> {
    const { ip, origin, addressUnknown } = from;
    const project = projectId && {
      id: projectId,
      organizationId: await this.records.organizationOfProject(projectId),
    };
    return { scopes, ip: addressUnknown ? null : ip, origin, ...(project && { project }) };
  }

  async #refuse(
    request: VerificationRequest,
    loaded: LoadedRecord,
    code: VerificationCode,
  ): Promise<VerificationResult> {
    await this.#deny(request, loaded, code);
    return { code, record: loaded.record };
  }

  /**
   * The key that asks is decided again, too, before it is told anything of another: it may be its own that has changed.
   * @throws DomainError with the verification's code when it is no longer good for asking
   */
  async #admitAgain(caller: ApiKeyPrincipal): Promise<Guard> {
    const loaded = caller.secretId && (await this.records.bySecretId(caller.secretId));
    if (!loaded) throw new DomainError('invalid_key');
    const code = decide(loaded.record, { scopes: caller.scopes, ...whereFrom() }, this.clock.now());
    if (code !== 'valid') throw new DomainError(code);
    return { shard: loaded.shard, tag: loaded.tag };
  }

  #used(request: VerificationRequest, { record, seq }: LoadedRecord): Uint8Array {
    return this.events.encode({
      type: 'api_key.used',
      subject: record.apiKeyId,
      organizationId: record.organizationId,
      actor: { type: 'api_key', id: record.apiKeyId },
      seq,
      origin: request.from,
      data: {
        ...aboutProject(record),
        ...request.endpoint,
        ...shown(record, request),
        ...(record.secretId && { secret_id: record.secretId }),
        cost: request.cost,
        scopes: [...request.scopes],
        ...(request.onBehalf && { verified_for: actorOf(request.onBehalf.caller) }),
      },
    });
  }

  /** One use took the balance below what is called low: that one tells of it. A crash before it leaves it untold. */
  async #tellLow(
    { record, shard, seq }: LoadedRecord,
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
    await this.admission.append({ shard, tag: null, entry }).catch((error: unknown) => {
      this.#logger.warn(`The low balance of ${record.organizationId} was not told of: ${String(error)}`);
    });
  }

  #deny(request: VerificationRequest, loaded: LoadedRecord, code: VerificationCode): Promise<void> {
    const { scopes, endpoint, from } = request;
    const { record } = loaded;
    // Whoever did not know the secret is not the key.
    const actor: EventActor =
      code === 'invalid_key' ? { type: 'anonymous', id: null } : { type: 'api_key', id: record.apiKeyId };
    const verifiedFor = request.onBehalf && actorOf(request.onBehalf.caller);
    const details = { ...endpoint, ...shown(record, request) };
    return this.denials.record({ loaded, code, scopes, details, from, actor, verifiedFor });
  }
}

/** What an event tells besides of a public key that was shown alone. */
function shown({ credential }: ApiKeyRecord, { from }: VerificationRequest) {
  return credential === 'public_key' ? { credential, origin: from.origin } : {};
}
