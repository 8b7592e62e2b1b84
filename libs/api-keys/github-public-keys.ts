import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import { open } from 'node:fs/promises';
import { Injectable, Logger } from '@nestjs/common';
import { z } from 'zod';
import { boundedBytes } from '#libs/platform/bounded-bytes.js';
import { Config } from '#libs/platform/config.js';
import { errorText } from '#libs/platform/error-text.js';
import { DomainError } from '#libs/platform/errors.js';
import { Seldom } from '#libs/platform/seldom.js';

/** As https://api.github.com/meta/public_keys/secret_scanning responds. */
const PublicKeys = z.object({
  public_keys: z.array(z.object({ key_identifier: z.string().min(1), key: z.string() })).max(100),
});

/** P-256. Keys of other kinds are left out: their signatures would be of another form. */
const CURVE = 'prime256v1';
/** A list has some 1,000 bytes. */
const MOST_BYTES = 65_536;
const TIMEOUT_MS = 10_000;
/** A key that GitHub withdraws is accepted for so long. */
const MAX_AGE_MS = 3_600_000;
/** Anyone can send an unknown id, so the list is read no more often. */
const READ_EVERY_MS = 60_000;

/** The keys with which GitHub signs what its secret scanning finds. They are read when they are first needed. */
@Injectable()
export class GitHubPublicKeys {
  readonly #logger = new Logger(GitHubPublicKeys.name);
  readonly #place: string | undefined;
  readonly #mayRead = new Seldom(READ_EVERY_MS);
  #keys: ReadonlyMap<string, KeyObject> = new Map();
  #readAt = -Infinity;
  #reading: Promise<void> | undefined;

  constructor(config: Config) {
    this.#place = config.settings.GITHUB_KEYS;
  }

  /** @throws DomainError `invalid_signature`, or `public_keys_unavailable` */
  async requireSignature(body: Uint8Array, keyId: string, signature: string): Promise<void> {
    if (!this.#place) throw new DomainError('invalid_signature', 'This deployment knows no public keys of GitHub');
    const key = await this.#find(keyId, this.#place);
    if (!key) throw new DomainError('invalid_signature', 'The key identifier is not that of a public key of GitHub');
    if (!verify('sha256', body, key, Buffer.from(signature, 'base64'))) {
      throw new DomainError('invalid_signature', 'The signature is not that of the body');
    }
  }

  async #find(id: string, place: string): Promise<KeyObject | undefined> {
    const isOld = performance.now() - this.#readAt > MAX_AGE_MS;
    if (isOld || !this.#keys.has(id)) {
      if (this.#mayRead.isDue()) this.#reading = this.#read(place).finally(() => (this.#reading = undefined));
      await this.#reading;
      if (performance.now() - this.#readAt > MAX_AGE_MS) {
        throw new DomainError('public_keys_unavailable', undefined, { retryAfter: READ_EVERY_MS / 1_000 });
      }
    }
    return this.#keys.get(id);
  }

  async #read(place: string): Promise<void> {
    try {
      const text = await (place.startsWith('/') ? textOfFile(place) : textAt(place));
      const { public_keys: keys } = PublicKeys.parse(JSON.parse(text));
      const read = keys.map(({ key_identifier: id, key }) => [id, createPublicKey(key)] as const);
      this.#keys = new Map(read.filter(([, key]) => key.asymmetricKeyDetails?.namedCurve === CURVE));
      this.#readAt = performance.now();
    } catch (error) {
      this.#logger.error(`GITHUB_KEYS cannot be read: ${errorText(error)}`);
    }
  }
}

async function textOfFile(path: string): Promise<string> {
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(MOST_BYTES));
  return buffer.toString('utf8', 0, bytesRead);
}

async function textAt(url: string): Promise<string> {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`The response has status ${response.status}`);
  const bytes = await boundedBytes(response, MOST_BYTES);
  if (!bytes) throw new Error(`The response has more than ${MOST_BYTES} bytes`);
  return bytes.toString();
}
