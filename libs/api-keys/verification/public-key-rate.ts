import { Injectable } from '@nestjs/common';
import { AddressRate } from '#libs/platform/address-rate.js';
import { Clock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';

/** Limits the requests of one address with public keys, which anyone can read on a page. Secrets are not counted. */
@Injectable()
export class PublicKeyRate extends AddressRate {
  constructor(config: Config, clock: Clock) {
    super(config.settings.PUBLIC_KEY_REQUESTS_PER_MINUTE, () => clock.now().getTime());
  }
}
