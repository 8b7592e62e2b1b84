import { Injectable } from '@nestjs/common';
import { parseToken } from '#libs/api-key-format/token.js';
import { actorOf, type ApiKeyPrincipal, type Guard, type Principal } from '#libs/auth/principal.js';
import type { VerificationCode } from '#libs/contract/api-keys.js';
import type { EventActor } from '#libs/contract/events.js';
import { Clock } from '#libs/platform/clock.js';
import { DomainError } from '#libs/platform/errors.js';
import { Admission } from '#libs/platform/events/admission.js';
import { Events } from '#libs/platform/events/event.js';
import { requestContext } from '#libs/platform/request-context.js';
import { aboutProject } from '../api-key.js';
import { ApiKeyRecords, type LoadedRecord } from './api-key-records.js';
import { Denials } from './denials.js';
import { Secrets } from './secrets.js';
import { decide, type ApiKeyRecord } from './verification.js';

/** One question to the verifier: is this key good for this request? */
export interface VerificationRequest {
  readonly token: string;
  readonly scopes: readonly string[];
  /** What the request is about. */
  readonly projectId?: string | undefined;
  readonly cost: number;
  /** The request that the key came with, for the record. */
  readonly endpoint: { readonly method: string | null; readonly path: string | null };
  readonly origin: { readonly ip: string | null; readonly userAgent: string | null; readonly requestId: string };
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
    const { onBehalf, projectId } = request;
    const caller = onBehalf?.caller.type === 'api_key' ? onBehalf.caller : undefined;
    let callerGuard = caller?.admittedUnder;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const loaded = await this.records.byHandle(parsed.handle);
      if (!loaded || onBehalf?.sees(loaded.record) === false) return INVALID;
      const { record, shard, tag } = loaded;
      if (!(await this.secrets.matches(record.secretHash, parsed.token))) {
        await this.#deny(request, loaded, 'invalid_key');
        return INVALID;
      }
      // Read after the state, so that a project which goes meanwhile makes the append find it moved.
      const project = projectId
        ? { id: projectId, organizationId: await this.records.organizationOfProject(projectId) }
        : undefined;
      const demand = { scopes: request.scopes, ip: request.origin.ip, ...(project && { project }) };
      const code = decide(record, demand, this.clock.now());
      if (code !== 'valid') {
        await this.#deny(request, loaded, code);
        return { code, record };
      }
      const outcome = await this.admission.append({ shard, tag, callerGuard, entry: this.#used(request, loaded) });
      if (outcome === 'admitted') return { code, record, admittedUnder: { shard, tag } };
      if (caller) callerGuard = await this.#admitAgain(caller);
    }
    throw new DomainError('audit_unavailable', 'The authorization state keeps changing', { retryAfter: 1 });
  }

  /**
   * The key that asks is decided again, too, before it is told anything of another: it may be its own that has changed.
   * @throws DomainError with the verification's code when it is no longer good for asking
   */
  async #admitAgain(caller: ApiKeyPrincipal): Promise<Guard> {
    const loaded = await this.records.bySecretId(caller.secretId);
    if (!loaded) throw new DomainError('invalid_key');
    const demand = { scopes: caller.scopes, ip: requestContext().ip };
    const code = decide(loaded.record, demand, this.clock.now());
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
      origin: request.origin,
      data: {
        ...aboutProject(record),
        ...request.endpoint,
        secret_id: record.secretId,
        cost: request.cost,
        scopes: [...request.scopes],
        ...(request.onBehalf && { verified_for: actorOf(request.onBehalf.caller) }),
      },
    });
  }

  #deny(request: VerificationRequest, loaded: LoadedRecord, code: VerificationCode): Promise<void> {
    const { scopes, endpoint, origin } = request;
    // Whoever did not know the secret is not the key.
    const actor: EventActor =
      code === 'invalid_key' ? { type: 'anonymous', id: null } : { type: 'api_key', id: loaded.record.apiKeyId };
    const verifiedFor = request.onBehalf && actorOf(request.onBehalf.caller);
    return this.denials.record({ loaded, code, scopes, endpoint, origin, actor, verifiedFor });
  }
}
