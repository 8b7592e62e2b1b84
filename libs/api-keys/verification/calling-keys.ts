import { Injectable } from '@nestjs/common';
import { actorOf, type ApiKeyPrincipal } from '#libs/auth/principal.js';
import type { UseRecord } from '#libs/contract/use-records.js';
import { Clock } from '#libs/platform/clock.js';
import { DomainError } from '#libs/platform/errors.js';
import type { Basis, ConditionalUse, Outcome } from '#libs/admission/conditional-event.js';
import { AuthorizationStates } from '#libs/admission/authorization-states.js';
import { endpointOf, sourceOf } from '#libs/platform/request-context.js';
import { ApiKeyRecords, restsOn } from './api-key-records.js';
import { Denials } from './denials.js';
import { Uses } from './uses.js';
import { decide } from './verification.js';

const ATTEMPTS = 8;

/**
 * Keys that ask for verifications. The guard only decides about them, because the event of the verification also
 * records their call. So the decision about the calling key must still hold at each response: admission checks this for
 * a "yes", and this class checks it for all other responses.
 */
@Injectable()
export class CallingKeys {
  constructor(
    private readonly clock: Clock,
    private readonly states: AuthorizationStates,
    private readonly records: ApiKeyRecords,
    private readonly uses: Uses,
    private readonly denials: Denials,
  ) {}

  /**
   * Decides again with the current data of the database.
   * @throws DomainError with the code of the denial, which is recorded, if the key may no longer ask
   */
  async admitAgain(caller: ApiKeyPrincipal): Promise<Basis> {
    const loaded = caller.secretId && (await this.records.bySecretId(caller.secretId));
    if (!loaded) throw new DomainError('invalid_key');
    const { value: known, shard, seq, tag } = loaded;
    const code = decide(known.record, { scopes: caller.scopes, ...sourceOf(caller.context) }, this.clock.now());
    if (code === 'valid') return { shard, seq, tag, restsOn: restsOn(known.record) };
    const { ip, userAgent, requestId } = caller.context;
    await this.denials.record({
      found: { known, shard, state: { seq, tag } },
      code,
      scopes: caller.scopes,
      details: { surface: 'management', ...endpointOf(caller.context) },
      from: { ip, userAgent, requestId },
      actor: actorOf(caller),
      verifiedBy: undefined,
    });
    throw new DomainError(code);
  }

  /**
   * Call it before a "no", which has no admission. The states must come from a statement that began after the request.
   * @throws DomainError as {@link admitAgain} does
   */
  async confirm(caller: ApiKeyPrincipal): Promise<void> {
    const { shard, tag } = caller.admittedUnder;
    if (this.states.of(shard).tag !== tag) await this.admitAgain(caller);
  }

  /**
   * Records the call in its own event, because the caller asked about no known key whose event could record it.
   * @param append resolves to undefined if the call need not be recorded
   * @throws DomainError as {@link admitAgain} does, and `audit_unavailable` if the call could not be recorded
   */
  async recordUse(
    caller: ApiKeyPrincipal,
    append: (event: ConditionalUse) => Promise<Outcome | undefined>,
  ): Promise<void> {
    let basis = caller.admittedUnder;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const outcome = await append({
        shard: basis.shard,
        basis,
        separate: attempt > 0,
        use: this.#useOf(caller, basis),
      });
      if (outcome?.is !== 'stale') return;
      await this.states.refresh();
      basis = await this.admitAgain(caller);
    }
    throw new DomainError('audit_unavailable', 'The authorization state keeps changing', { retryAfter: 1 });
  }

  #useOf(caller: ApiKeyPrincipal, { seq }: Basis): UseRecord {
    return this.uses.record({
      key: caller,
      seq,
      from: caller.context,
      surface: 'management',
      endpoint: endpointOf(caller.context),
      cost: 0,
      scopes: ['api-keys:verify'],
    });
  }
}
