import { createHash, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { actorOf } from '#libs/auth/principal.js';
import type { BulkAction } from '#libs/contract/bulk-changes.js';
import type { Authority } from '#libs/organizations/authority.js';
import { Clock } from '#libs/platform/clock.js';
import { DomainError, invalidInput } from '#libs/platform/errors.js';
import { Sealing } from '#libs/platform/sealing.js';

const VALID_MS = 10 * 60_000;
const PURPOSE = 'confirmation of a bulk change';

/** The hash of a set of keys. Their order does not matter. */
export type HashOfKeys = string;

export function hashOfKeys(ids: readonly string[]): HashOfKeys {
  return createHash('sha256').update(ids.toSorted().join()).digest('base64url');
}

/**
 * Confirmations of previews: the time of expiry, the hash of the keys, and a keyed hash over both, the caller, the
 * organization and the action. Nothing is stored. A confirmation can be used again, but only for the same keys, and a
 * change leaves none of them to be changed.
 */
@Injectable()
export class BulkConfirmations {
  constructor(
    private readonly sealing: Sealing,
    private readonly clock: Clock,
  ) {}

  issue(authority: Authority<'api-keys:manage'>, action: BulkAction, ids: readonly string[]) {
    const expiresAt = new Date(this.clock.now().getTime() + VALID_MS);
    const claim = `${expiresAt.getTime().toString(36)}.${hashOfKeys(ids)}`;
    return { confirmation: `${claim}.${this.#mac(authority, action, claim).toString('base64url')}`, expiresAt };
  }

  /**
   * @returns the hash of the keys that are confirmed
   * @throws DomainError `invalid_request` if it is of another caller, organization or action; `preview_outdated`
   */
  read(authority: Authority<'api-keys:manage'>, action: BulkAction, confirmation: string): HashOfKeys {
    const [expiry = '', hash = '', mac = ''] = confirmation.split('.');
    const expected = this.#mac(authority, action, `${expiry}.${hash}`);
    const given = Buffer.from(mac, 'base64url');
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw invalidInput({
        location: 'body.confirmation',
        message: 'must be the confirmation of a preview by the same caller, for the same organization and action',
      });
    }
    if (Number.parseInt(expiry, 36) <= this.clock.now().getTime()) {
      throw new DomainError('preview_outdated', 'The preview has expired: it can be confirmed for ten minutes');
    }
    return hash;
  }

  #mac({ caller, organizationId }: Authority, action: BulkAction, claim: string): Buffer {
    const { type, id } = actorOf(caller);
    return this.sealing.mac(PURPOSE, [type, id, organizationId, action, claim].join(' '));
  }
}
