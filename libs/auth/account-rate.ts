import { Injectable } from '@nestjs/common';
import { AddressRate } from '#libs/platform/address-rate.js';
import { Clock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';
import type { RequestContext } from '#libs/platform/request-context.js';

/**
 * Limits how often one address may set a password without a session, by a registration or a reset. Each costs a
 * strength check and a run of Argon2id. Clients behind a proxy that TRUST_PROXY does not name share its address, and so
 * its limit.
 */
@Injectable()
export class AccountRate {
  readonly #rate: AddressRate;

  constructor(config: Config, clock: Clock) {
    this.#rate = new AddressRate(config.settings.REGISTRATIONS_PER_MINUTE, () => clock.now().getTime());
  }

  /** @throws DomainError `too_many_attempts` */
  take({ ip }: RequestContext): void {
    const retryAfter = this.#rate.take(ip);
    if (!retryAfter) return;
    throw new DomainError('too_many_attempts', 'Too many passwords are being set from this address', { retryAfter });
  }
}
