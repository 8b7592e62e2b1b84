import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { fromUuid } from '#libs/contract/ids.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import { KeyLookup } from './verification/key-lookup.js';
import { Secrets } from './verification/secrets.js';

/** A secret of a key, of which a complete token was presented. */
export interface LeakedSecret {
  readonly id: string;
  readonly apiKeyId: string;
  readonly organizationId: string;
  /** Whether a report changes anything: it was not reported before, and its key is not deleted. */
  readonly isReportable: boolean;
}

interface Row {
  readonly id: string;
  readonly api_key_id: string;
  readonly organization_id: string;
  readonly handle: string;
  readonly hash: string | null;
  readonly digest: Buffer | null;
  readonly reportable: boolean;
}

const BY_HANDLES = `
  SELECT s.id, s.api_key_id, k.organization_id, s.handle, s.hash, s.digest,
    s.leaked_at IS NULL AND k.deleted_at IS NULL AS reportable
  FROM api_key_secret s JOIN api_key k ON k.id = s.api_key_id WHERE s.handle = ANY($1::text[])`;

/**
 * Finds which tokens are secrets of this deployment. All of them together cost one statement. Argon2id runs only for a
 * token with the handle of a secret that no caller has presented yet, as in a verification.
 */
@Injectable()
export class LeakedSecrets {
  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly secrets: Secrets,
    private readonly lookup: KeyLookup,
  ) {}

  /** @returns the secrets by their tokens, without those that are unknown */
  async find(tokens: readonly string[]): Promise<ReadonlyMap<string, LeakedSecret>> {
    const parsed = new Map(tokens.map((text) => [text, this.lookup.parse(text)?.secret]));
    const handles = new Set([...parsed.values()].flatMap((secret) => (secret ? [secret.handle] : [])));
    const { rows } = await this.pool.query<Row>(BY_HANDLES, [[...handles]]);
    const byHandle = new Map(rows.map((row) => [row.handle, row]));
    const found = new Map<string, LeakedSecret>();
    for (const [text, secret] of parsed) {
      const row = secret && byHandle.get(secret.handle);
      if (row && (await this.#isRight(row, secret.token))) found.set(text, leakedSecret(row));
    }
    return found;
  }

  async #isRight({ id, organization_id: organizationId, hash, digest }: Row, token: string): Promise<boolean> {
    const stored = { id: fromUuid('secret', id), stored: { hash, digest } };
    return this.secrets.check(stored, token) ?? this.secrets.verify(stored, token, fromUuid('org', organizationId));
  }
}

function leakedSecret(row: Row): LeakedSecret {
  return {
    id: fromUuid('secret', row.id),
    apiKeyId: fromUuid('key', row.api_key_id),
    organizationId: fromUuid('org', row.organization_id),
    isReportable: row.reportable,
  };
}
