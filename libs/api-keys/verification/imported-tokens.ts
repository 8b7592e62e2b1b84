import { createHash } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import type { Credential } from '#libs/api-key-format/token.js';
import { isImportable } from '#libs/api-key-format/imported-token.js';
import { IMPATIENT, VERIFICATION_POOL } from '#libs/database/database.js';
import { Sealing } from '#libs/platform/sealing.js';

const PURPOSE = 'handle of an imported token';
/** No handle of Keyledger's own tokens begins with it. */
const MARK = '~';
const NONE_MS = 1_000;
/** More than an import takes. */
const COMMITTED_WITHIN = '10 seconds';

const FIND = {
  name: 'imported-tokens',
  text: `SELECT EXISTS (SELECT FROM api_key_secret WHERE handle LIKE '${MARK}%') AS any,
                ARRAY (SELECT handle FROM api_key_secret WHERE handle = ANY ($1::text[])) AS found`,
};

/** Tokens for which one statement looks. It begins after each of them was presented. */
interface Lookup {
  readonly handles: Set<string>;
  readonly found: Promise<ReadonlySet<string>>;
}

/**
 * Tokens of other systems, which say nothing about their key. The handle of one is a hash of its SHA-256, keyed by
 * KEYLEDGER_SECRET: the database alone can neither be used to test a guess nor compared with the tables of that system.
 * To find a row by such a handle proves the token.
 *
 * A token may be presented before it is imported, so a missing one is not remembered. Instead, one statement at a time
 * looks for all that wait. A deployment that has imported none runs it once a second at most.
 */
@Injectable()
export class ImportedTokens {
  /** How long a node relies on it that the deployment has no imported token. Milliseconds. Tests of one node shorten it. */
  noneMs = NONE_MS;
  #running: Promise<unknown> = Promise.resolve();
  #next: Lookup | undefined;
  /** When to look again whether there are any; 0 if there are. */
  #noneUntil = 0;

  constructor(
    private readonly sealing: Sealing,
    @Inject(VERIFICATION_POOL) private readonly pool: pg.Pool,
  ) {}

  /** @param sha256 of the whole token */
  handleOf(sha256: Uint8Array): string {
    return MARK + this.sealing.mac(PURPOSE, sha256).toString('base64url');
  }

  /** @returns null for a text that no import covers */
  credentialOf(token: string): Credential | null {
    if (!isImportable(token)) return null;
    return { secret: { token, handle: this.handleOf(createHash('sha256').update(token).digest()) } };
  }

  isOne({ secret }: Credential): boolean {
    return secret?.handle.startsWith(MARK) ?? false;
  }

  async includes(handle: string): Promise<boolean> {
    if (performance.now() < this.#noneUntil) return false;
    const lookup = (this.#next ??= this.#lookUpNext());
    lookup.handles.add(handle);
    return (await lookup.found).has(handle);
  }

  /** Whether every node knows already that the deployment has imported tokens. */
  async areNoticed(em: EntityManager): Promise<boolean> {
    const [row] = await em.execute<[{ old: boolean }]>(
      `SELECT EXISTS (SELECT FROM api_key_secret
                      WHERE handle LIKE '${MARK}%' AND created_at < now() - interval '${COMMITTED_WITHIN}') AS old`,
    );
    return row.old;
  }

  /** After the commit of an import: resolves when every node knows that. */
  async noticed(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 1.1 * this.noneMs));
  }

  #lookUpNext(): Lookup {
    const handles = new Set<string>();
    const found = this.#running.then(() => {
      this.#next = undefined;
      return this.#find([...handles]);
    });
    this.#running = found.catch(() => undefined);
    return { handles, found };
  }

  async #find(handles: readonly string[]): Promise<ReadonlySet<string>> {
    const sentAt = performance.now();
    if (sentAt < this.#noneUntil) return new Set();
    try {
      const { rows } = await this.pool.query<{ any: boolean; found: string[] }>({
        ...FIND,
        values: [handles],
        ...IMPATIENT,
      });
      this.#noneUntil = rows[0]!.any ? 0 : sentAt + this.noneMs;
      return new Set(rows[0]!.found);
    } catch (error) {
      if (this.#noneUntil === 0) throw error;
      // In an outage, what was known last holds: a deployment without imports refuses unknown tokens as before.
      this.#noneUntil = performance.now() + this.noneMs;
      return new Set();
    }
  }
}
