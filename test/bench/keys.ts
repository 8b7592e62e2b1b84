import { randomUUID } from 'node:crypto';
import pLimit from 'p-limit';
import type pg from 'pg';
import { v7 } from 'uuid';
import { generateToken, parseToken } from '#libs/api-key-format/token.js';
import { Digests } from '#libs/api-keys/verification/digests.js';
import { createClient, type Client } from '#libs/client/client.js';
import { fromUuid, toUuid } from '#libs/contract/ids.js';
import type { Config } from '#libs/platform/config.js';
import { Sealing } from '#libs/platform/sealing.js';

const SIGN_IN_AT_ONCE = 4;
/** Half the lifetime of an access token. */
const SIGNED_IN_MS = 300_000;
const COPIED_AT_ONCE = 5_000;
export const SCOPES = ['triggers:read'];

/** An API key with its token, which only its creation shows. */
export interface Key {
  readonly id: string;
  readonly token: string;
}

/** An organization and the user who manages it. */
export class Customer {
  readonly #baseUrl: string;
  readonly #account = { email: `${randomUUID()}@example.com`, password: `quiet ${randomUUID()} harbour` };
  #signedIn: { client: Client; at: number } | undefined;

  constructor(baseUrl: string) {
    this.#baseUrl = baseUrl;
  }

  async register(): Promise<void> {
    await createClient({ baseUrl: this.#baseUrl }).auth.register({ body: { ...this.#account, name: 'Ada Lovelace' } });
  }

  /** Returns a client with an access token that stays valid for some minutes. */
  async client(): Promise<Client> {
    if (this.#signedIn && performance.now() - this.#signedIn.at < SIGNED_IN_MS) return this.#signedIn.client;
    const baseUrl = this.#baseUrl;
    const { access_token: accessToken } = await createClient({ baseUrl }).auth.login({ body: this.#account });
    this.#signedIn = { client: createClient({ baseUrl, accessToken }), at: performance.now() };
    return this.#signedIn.client;
  }

  /** Creates a key through the API and uses it once, so that later requests do not wait for Argon2id. */
  async makeKey(scopes = SCOPES, organizationId?: string): Promise<Key> {
    const client = await this.client();
    const body = { name: 'Measured', scopes, ...(organizationId && { organization_id: organizationId }) };
    const { id, key } = await client.apiKeys.create({ body });
    await useOnce(this.#baseUrl, key);
    return { id, token: key };
  }
}

export async function useOnce(baseUrl: string, apiKey: string): Promise<void> {
  await createClient({ baseUrl, apiKey }).auth.whoami();
}

/** Signs in before a measurement, because each sign-in takes a run of Argon2id. */
export async function signInAll(customers: readonly Customer[]): Promise<Client[]> {
  const limit = pLimit(SIGN_IN_AT_ONCE);
  return Promise.all(customers.map((customer) => limit(() => customer.client())));
}

/**
 * Inserts copies of a key into the database. They have digests, as if they had been used before, because their Argon2id
 * hash is a copy and would not match.
 */
export async function copyKeys(sql: pg.Client, like: Key, amount: number, secret: string): Promise<Key[]> {
  const digests = new Digests(new Sealing({ settings: { KEYLEDGER_SECRET: secret } } as Config));
  const keys = Array.from({ length: amount }, () => {
    const token = parseToken(generateToken('sk_test'))!;
    return { ...token, id: v7(), digest: digests.of(token.token) };
  });
  for (let from = 0; from < amount; from += COPIED_AT_ONCE) {
    const some = keys.slice(from, from + COPIED_AT_ONCE);
    await sql.query(COPY, [
      toUuid(like.id),
      some.map(({ id }) => id),
      some.map(() => generateToken('pk_test')),
      some.map(() => v7()),
      some.map(({ handle }) => handle),
      some.map(({ digest }) => digest),
    ]);
  }
  return keys.map(({ id, token }) => ({ id: fromUuid('key', id), token }));
}

const COPY = `
  WITH t AS MATERIALIZED (
    SELECT * FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::bytea[])
      AS t (id, public_key, secret_id, handle, digest)
  ), key AS (
    -- The database assigns the number.
    INSERT INTO api_key OVERRIDING USER VALUE
    SELECT copy.* FROM api_key k, t, jsonb_populate_record(k, jsonb_build_object('id', t.id, 'public_key', t.public_key))
      AS copy WHERE k.id = $1
  )
  INSERT INTO api_key_secret
  SELECT copy.* FROM api_key_secret s, t, jsonb_populate_record(s, jsonb_build_object(
      'id', t.secret_id, 'api_key_id', t.id, 'handle', t.handle, 'digest', t.digest)) AS copy
  WHERE s.api_key_id = $1 AND s.ended_at IS NULL`;
