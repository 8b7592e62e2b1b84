import { Injectable } from '@nestjs/common';
import { parseToken } from '#libs/api-key-format/token.js';
import type { VerificationCode } from '#libs/contract/api-keys.js';
import type { EventActor } from '#libs/contract/events.js';
import { Clock } from '#libs/platform/clock.js';
import { DomainError } from '#libs/platform/errors.js';
import { Admission } from '#libs/platform/events/admission.js';
import { Events } from '#libs/platform/events/event.js';
import { ApiKeyRecords, type LoadedRecord } from './api-key-records.js';
import { Denials } from './denials.js';
import { Secrets } from './secrets.js';
import { decide, type ApiKeyRecord } from './verification.js';

/** One question to the verifier: is this key good for this request? */
export interface VerificationRequest {
  readonly token: string;
  readonly scopes: readonly string[];
  readonly cost: number;
  /** The request that the key came with, for the record. */
  readonly endpoint: { readonly method: string | null; readonly path: string | null };
  readonly origin: { readonly ip: string | null; readonly userAgent: string | null; readonly requestId: string };
  /** Who asks on behalf of somebody else, and whose keys they may ask about. */
  readonly onBehalf?: { readonly actor: EventActor; readonly sees: (organizationId: string) => boolean };
}

export interface VerificationResult {
  readonly code: VerificationCode;
  /** What is known of the key; null for `invalid_key`. */
  readonly record: ApiKeyRecord | null;
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
  constructor(
    private readonly clock: Clock,
    private readonly records: ApiKeyRecords,
    private readonly secrets: Secrets,
    private readonly events: Events,
    private readonly admission: Admission,
    private readonly denials: Denials,
  ) {}

  /** @throws DomainError `audit_unavailable` when a "yes" could not be recorded. */
  async verify(request: VerificationRequest): Promise<VerificationResult> {
    const parsed = parseToken(request.token);
    if (!parsed) return INVALID;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const loaded = await this.records.load(parsed.handle);
      if (!loaded || request.onBehalf?.sees(loaded.record.organizationId) === false) return INVALID;
      if (!(await this.secrets.matches(loaded.record.secretHash, parsed.token))) {
        await this.#deny(request, loaded, 'invalid_key');
        return INVALID;
      }
      const code = decide(loaded.record, request, this.clock.now());
      if (code !== 'valid') {
        await this.#deny(request, loaded, code);
        return { code, record: loaded.record };
      }
      const outcome = await this.admission.append({
        shard: loaded.shard,
        tag: loaded.tag,
        entry: this.#used(request, loaded),
      });
      if (outcome === 'admitted') return { code, record: loaded.record };
    }
    throw new DomainError('audit_unavailable', 'The authorization state keeps changing', { retryAfter: 1 });
  }

  #used(request: VerificationRequest, { record, seq }: LoadedRecord): Uint8Array {
    return this.events.encode({
      type: 'api_key.used',
      subject: record.apiKeyId,
      organizationId: record.organizationId,
      actor: { type: 'api_key', id: record.apiKeyId },
      seq,
      origin: request.origin,
      data: {
        ...request.endpoint,
        secret_id: record.secretId,
        cost: request.cost,
        scopes: [...request.scopes],
        ...(request.onBehalf && { verified_for: request.onBehalf.actor }),
      },
    });
  }

  #deny(request: VerificationRequest, loaded: LoadedRecord, code: VerificationCode): Promise<void> {
    const { scopes, endpoint, origin } = request;
    // Whoever did not know the secret is not the key.
    const actor: EventActor =
      code === 'invalid_key' ? { type: 'anonymous', id: null } : { type: 'api_key', id: loaded.record.apiKeyId };
    return this.denials.record({ loaded, code, scopes, endpoint, origin, actor, verifiedFor: request.onBehalf?.actor });
  }
}
