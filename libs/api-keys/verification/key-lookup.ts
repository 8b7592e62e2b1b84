import { Injectable } from '@nestjs/common';
import { parseCredential, type Credential } from '#libs/api-key-format/token.js';
import { AuthorizationStates } from '#libs/admission/authorization-states.js';
import type { Entry, StateBoundCache } from '#libs/admission/state-bound-cache.js';
import { DomainError } from '#libs/platform/errors.js';
import { ApiKeyRecords, type Found, type KnownKey } from './api-key-records.js';
import { ImportedTokens } from './imported-tokens.js';
import { Secrets } from './secrets.js';
import type { Demand } from './verification.js';

/** How often a key is loaded again after a change has evicted it. */
const ATTEMPTS = 8;

/**
 * Finds what a verification needs: the key, the proof of its secret, and the project of the request. Each has a method
 * that reads the cache without a promise, and one that reads the database or runs Argon2id.
 */
@Injectable()
export class KeyLookup {
  constructor(
    private readonly states: AuthorizationStates,
    private readonly records: ApiKeyRecords,
    private readonly secrets: Secrets,
    private readonly imported: ImportedTokens,
  ) {}

  /** @returns null for a text that can be no credential of any key */
  parse(text: string): Credential | null {
    return parseCredential(text) ?? this.imported.credentialOf(text);
  }

  cachedKey(credential: Credential): Found | undefined {
    const entry = this.#cacheOf(credential).lookUp(nameOf(credential));
    return entry && this.#withState(entry);
  }

  /** @returns undefined if there is no such key. If a change evicts the key at once, this method loads it again. */
  async loadKey(credential: Credential): Promise<Found | undefined> {
    const cache = this.#cacheOf(credential);
    const name = nameOf(credential);
    const isImported = this.imported.isOne(credential);
    if (isImported && !(await this.imported.includes(name))) return undefined;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (!(await cache.learn(name))) return undefined;
      const entry = cache.get(name);
      if (!entry) continue;
      const found = this.#withState(entry);
      const { secret, record } = found.known;
      if (isImported) this.secrets.upgrade(secret!, credential.secret!.token, record.organizationId);
      return found;
    }
    throw new DomainError('audit_unavailable', 'The key keeps changing', { retryAfter: 1 });
  }

  /**
   * Whether the credential is right. Both halves of a pair must belong to the same key. A public key alone needs no
   * proof here: its origin is checked later.
   * @returns undefined if only Argon2id can tell
   */
  isProven({ secret, publicKey }: Credential, { known }: Found): boolean | undefined {
    if (publicKey && publicKey.token !== known.record.publicKey) return false;
    if (!secret) return true;
    return known.secret ? this.secrets.check(known.secret, secret.token) : false;
  }

  verifySecret({ secret }: Credential, { known }: Found): Promise<boolean> {
    return this.secrets.verify(known.secret!, secret!.token, known.record.organizationId);
  }

  cachedProject(id: string): Demand['project'] | undefined {
    return this.records.projects.lookUp(id)?.value;
  }

  async loadProject(id: string): Promise<Demand['project']> {
    await this.records.projects.learn(id);
    return this.records.projects.get(id)?.value ?? { id, organizationId: null };
  }

  #cacheOf({ secret }: Credential): StateBoundCache<KnownKey> {
    return secret ? this.records.bySecret : this.records.byPublicKey;
  }

  #withState({ value: known, shard }: Entry<KnownKey>): Found {
    return { known, shard, state: this.states.of(shard) };
  }
}

/** The name of the key in the cache for this credential. */
function nameOf({ secret, publicKey }: Credential): string {
  return secret ? secret.handle : publicKey!.token;
}
