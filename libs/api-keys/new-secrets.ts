import { UniqueConstraintViolationException } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { generateToken, parseToken } from '#libs/api-key-format/token.js';
import { turnOf } from '#libs/auth/principal.js';
import { newId } from '#libs/contract/ids.js';
import type { Authority } from '#libs/organizations/authority.js';
import { ApiKeySecret } from './api-key.entity.js';
import { Secrets } from './verification/secrets.js';

export interface NewSecret {
  /** The whole secret, which is shown once and not stored. */
  readonly token: string;
  readonly handle: string;
  /** What lists show of the secret. */
  readonly prefix: string;
  /** Null for the token of another system, until a caller presents it. */
  readonly hash: string | null;
}

/** A handle has ten random characters. After a collision, which is very unlikely, try another one. */
const HANDLE_ATTEMPTS = 3;

@Injectable()
export class NewSecrets {
  constructor(private readonly secrets: Secrets) {}

  /**
   * Hashes a new secret before the change that stores it, so that no lock is held while Argon2id runs.
   * @param authority the caller and the organization of the key
   * @param store the change
   */
  async make<T>(
    authority: Pick<Authority<'api-keys:manage'>, 'caller' | 'organizationId'>,
    tokenPrefix: string,
    store: (made: NewSecret) => Promise<T>,
  ): Promise<T> {
    const { caller, organizationId } = authority;
    for (let attempt = 1; ; attempt++) {
      const token = generateToken(tokenPrefix);
      const { handle, display } = parseToken(token)!;
      const hash = await this.secrets.hash(token, turnOf(caller).flow, organizationId);
      try {
        return await store({ token, handle, prefix: display, hash });
      } catch (error) {
        if (!(error instanceof UniqueConstraintViolationException) || attempt === HANDLE_ATTEMPTS) throw error;
      }
    }
  }
}

/** Within the change. */
export function addSecret(
  em: EntityManager,
  apiKeyId: string,
  { handle, hash }: Pick<NewSecret, 'handle' | 'hash'>,
  now: Date,
): ApiKeySecret {
  return em.create(ApiKeySecret, { id: newId('secret', now), apiKeyId, handle, hash, createdAt: now });
}
