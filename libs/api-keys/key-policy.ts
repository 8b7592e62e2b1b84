import type { KeyRule } from '#libs/contract/api-key-schemas.js';
import { KeyPolicy } from '#libs/contract/key-policy.js';
import { breachesOf, type PolicedKey } from '#libs/contract/key-policy-rules.js';
import { DomainError } from '#libs/platform/errors.js';

/** The fields of a request by which its caller keeps to the rules. */
type Locations = Partial<Record<KeyRule, string>>;

/** @param expiry the field with the expiry, if the caller gives one */
export function inNewKey(expiry: 'expires_at' | 'expires_in_days'): Locations {
  return {
    expiry: `body.${expiry}`,
    lifetime: `body.${expiry}`,
    environment: 'body.environment',
    addresses: 'body.allowed_ips',
  };
}

export const IN_UPDATE: Locations = {
  expiry: 'body.expires_at',
  lifetime: 'body.expires_at',
  addresses: 'body.allowed_ips',
};

/** Does {@link policyCheck} for one key. */
export function refuseBreaches(policy: KeyPolicy, key: PolicedKey, locations: Locations = {}): void {
  policyCheck(policy)(key, locations);
}

/**
 * Reads a policy once, for many keys. Fails if it has a rule that this version does not know, such as one of a later
 * version.
 * @returns a function that throws DomainError `breaks_key_policy`, which names every rule that the key breaks
 */
export function policyCheck(policy: KeyPolicy): (key: PolicedKey, locations?: Locations) => void {
  const known = KeyPolicy.parse(policy);
  return (key, locations = {}) => {
    const breaches = breachesOf(known, key);
    if (breaches.length === 0) return;
    const errors = breaches.flatMap(({ rule, message }) => {
      const location = locations[rule];
      return location ? [{ location, message }] : [];
    });
    throw new DomainError(
      'breaks_key_policy',
      `By the key policy of the organization, the key ${breaches.map(({ message }) => message).join(', and it ')}`,
      errors.length > 0 ? { errors } : {},
    );
  };
}
