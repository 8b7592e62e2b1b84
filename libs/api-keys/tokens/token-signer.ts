import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { SignJWT, type JWTPayload } from 'jose';
import type pg from 'pg';
import type { RouteOutput } from '#libs/contract/route.js';
import type { jsonWebKeySet } from '#libs/contract/key-tokens.js';
import { DATABASE_POOL, inTransaction, isDatabaseAway } from '#libs/database/database.js';
import { Clock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { Sealing } from '#libs/platform/sealing.js';
import { rotationOf, type TokenKey } from './token-keys.js';

const ALGORITHM = 'ES256';
/** What the keys are sealed for. No other key of the deployment opens as one of these, nor the reverse. */
const PURPOSE = 'key token key';
/** So long a deleted key may still sign, and a new one be missing on another node. */
const RELOAD_MS = 60_000;

type KeySet = RouteOutput<typeof jsonWebKeySet>;

/** Signs key tokens, and publishes the keys to verify them. All nodes share the keys through the database. */
@Injectable()
export class TokenSigner {
  readonly #isOn: boolean;
  #keys: readonly TokenKey[] = [];
  #loadedAt = -Infinity;
  #loading: Promise<void> | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly sealing: Sealing,
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    { settings }: Config,
  ) {
    this.#isOn = settings.TOKEN_AUDIENCES.length > 0;
  }

  async publicKeys(): Promise<KeySet> {
    if (!this.#isOn) return { keys: [] };
    const { published } = await this.#rotation();
    return { keys: published.map(publicKeyOf) };
  }

  /** @returns a function that signs claims, and needs nothing more for that */
  async ready(): Promise<(claims: JWTPayload) => Promise<string>> {
    const { signing } = await this.#rotation();
    if (!signing) throw new Error('There is no key to sign tokens with');
    const { id, privateKey } = signing;
    return (claims) =>
      new SignJWT(claims).setProtectedHeader({ alg: ALGORITHM, kid: id, typ: 'at+jwt' }).sign(privateKey);
  }

  async #rotation() {
    if (this.clock.now().getTime() - this.#loadedAt >= RELOAD_MS) await this.#reload().catch(this.#keepIfAway);
    return rotationOf(this.#keys, this.clock.now());
  }

  /** Verifiers can read the key set while the database is unavailable. An exchange fails then, because it is recorded. */
  readonly #keepIfAway = (error: unknown) => {
    if (this.#keys.length === 0 || !isDatabaseAway(error)) throw error;
  };

  /** All waiting callers share one load. */
  async #reload(): Promise<void> {
    this.#loading ??= this.#load().finally(() => (this.#loading = undefined));
    await this.#loading;
  }

  async #load(): Promise<void> {
    const now = this.clock.now();
    let keys = await this.#read(this.pool);
    if (rotationOf(keys, now).isDue) keys = await this.#replace(now);
    this.#keys = keys;
    this.#loadedAt = now.getTime();
  }

  /** Adds a key, unless another node was faster, and erases the keys that verify nothing any more. */
  #replace(now: Date): Promise<TokenKey[]> {
    return inTransaction(this.pool, async (client) => {
      await client.query('LOCK TABLE token_signing_key IN SHARE ROW EXCLUSIVE MODE');
      const { isDue, published } = rotationOf(await this.#read(client), now);
      if (isDue) {
        await client.query('DELETE FROM token_signing_key WHERE id <> ALL ($1)', [published.map(({ id }) => id)]);
        const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        const sealed = this.sealing.seal(PURPOSE, privateKey.export({ type: 'pkcs8', format: 'der' }));
        await client.query('INSERT INTO token_signing_key (id, private_key, created_at) VALUES ($1, $2, $3)', [
          randomBytes(8).toString('hex'),
          sealed,
          now,
        ]);
      }
      return this.#read(client);
    });
  }

  async #read(database: Pick<pg.ClientBase, 'query'>): Promise<TokenKey[]> {
    const { rows } = await database.query<{ id: string; sealed: Uint8Array; createdAt: Date }>(
      'SELECT id, private_key AS sealed, created_at AS "createdAt" FROM token_signing_key ORDER BY created_at, id',
    );
    return rows.flatMap(({ id, sealed, createdAt }) => {
      const privateKey = this.#open(sealed);
      return privateKey ? [{ id, privateKey, createdAt }] : [];
    });
  }

  /** @returns undefined for a key that was not sealed with our secret: it is not ours, even if it is in the table */
  #open(sealed: Uint8Array): KeyObject | undefined {
    try {
      const der = this.sealing.open(PURPOSE, sealed);
      return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
    } catch {
      return undefined;
    }
  }
}

function publicKeyOf({ id, privateKey }: TokenKey): KeySet['keys'][number] {
  const { x, y } = createPublicKey(privateKey).export({ format: 'jwk' });
  return { kty: 'EC', crv: 'P-256', x: x!, y: y!, kid: id, alg: ALGORITHM, use: 'sig' };
}
