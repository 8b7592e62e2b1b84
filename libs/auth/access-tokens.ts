import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { JwtService, type JwtSignOptions, type JwtVerifyOptions } from '@nestjs/jwt';
import { decodeProtectedHeader, jwtVerify, SignJWT, type JWTPayload } from 'jose';
import { z } from 'zod';
import { Clock } from '#libs/platform/clock.js';
import { Config, ConfigError } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';
import { Sealing } from '#libs/platform/sealing.js';
import { whileStarting } from '#libs/platform/while-starting.js';
import { SigningKey } from './signing-key.entity.js';

const ALGORITHM = 'EdDSA';
const AUDIENCE = 'keyledger';
export const ACCESS_TOKEN_SECONDS = 600;
/** A token may name any `kid`. Unknown ones cause at most one query in this time. */
const RELOAD_MS = 1_000;

/**
 * The deployment's signing keys: the newest key signs, all keys verify. The first node to start creates the first key.
 */
@Injectable()
export class SigningKeys implements OnModuleInit {
  readonly #public = new Map<string, KeyObject>();
  #newest: { id: string; key: KeyObject } | undefined;
  #reloadedAt = -Infinity;
  #loading: Promise<void> | undefined;

  constructor(
    private readonly em: EntityManager,
    private readonly sealing: Sealing,
  ) {}

  async onModuleInit(): Promise<void> {
    await whileStarting(async () => {
      await this.#load();
      if (this.#newest) return;
      await this.#create();
      await this.#load();
    });
  }

  get newest(): { id: string; key: KeyObject } {
    if (!this.#newest) throw new Error('The signing keys are not loaded');
    return this.#newest;
  }

  async publicKey(id: string): Promise<KeyObject | undefined> {
    if (!this.#public.has(id)) await this.#reload();
    return this.#public.get(id);
  }

  /** All waiting callers share one statement. It runs at most once a second, whether it succeeds or not. */
  async #reload(): Promise<void> {
    if (!this.#loading) {
      if (performance.now() - this.#reloadedAt < RELOAD_MS) return;
      this.#reloadedAt = performance.now();
      this.#loading = this.#load().finally(() => (this.#loading = undefined));
    }
    await this.#loading;
  }

  async #load(): Promise<void> {
    const rows = await this.em.fork().find(SigningKey, {}, { orderBy: { createdAt: 'asc', id: 'asc' } });
    for (const { id, privateKey } of rows) {
      const key = this.#open(privateKey);
      // A key that was not sealed with our secret is not ours, even if it is in the table.
      if (!key) continue;
      this.#public.set(id, createPublicKey(key));
      this.#newest = { id, key };
    }
    if (rows.length > 0 && !this.#newest) {
      throw new ConfigError(
        "KEYLEDGER_SECRET differs from the secret with which this database's signing keys were sealed.",
      );
    }
  }

  #open(sealed: Uint8Array): KeyObject | undefined {
    try {
      const der = this.sealing.open('signing key', sealed);
      return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
    } catch {
      return undefined;
    }
  }

  async #create(): Promise<void> {
    const { privateKey } = generateKeyPairSync('ed25519');
    await this.em.fork().insert(SigningKey, {
      id: randomBytes(8).toString('hex'),
      privateKey: this.sealing.seal('signing key', privateKey.export({ type: 'pkcs8', format: 'der' })),
      createdAt: new Date(),
    });
  }
}

/**
 * Nest's JwtService with EdDSA. Its library, jsonwebtoken, does not support EdDSA, so jose signs. Once jsonwebtoken
 * supports it, this class can go and its users stay unchanged.
 */
export class EdDsaJwtService extends JwtService {
  constructor(
    private readonly keys: SigningKeys,
    private readonly clock: Clock,
  ) {
    super();
  }

  override signAsync(payload: string | Buffer | object, options: JwtSignOptions = {}): Promise<string> {
    const { id, key } = this.keys.newest;
    const issuedAt = Math.floor(this.clock.now().getTime() / 1000);
    return new SignJWT(payload as JWTPayload)
      .setProtectedHeader({ alg: ALGORITHM, kid: id, typ: 'at+jwt' })
      .setIssuer(String(options.issuer))
      .setAudience(String(options.audience))
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + Number(options.expiresIn))
      .sign(key);
  }

  override async verifyAsync<T extends object>(token: string, options: JwtVerifyOptions = {}): Promise<T> {
    const { kid } = decodeProtectedHeader(token);
    const key = kid ? await this.keys.publicKey(kid) : undefined;
    if (!key) throw new Error('No such signing key');
    const { payload } = await jwtVerify(token, key, {
      // Fixed: a token cannot choose how it is verified.
      algorithms: [ALGORITHM],
      typ: 'at+jwt',
      issuer: String(options.issuer),
      audience: String(options.audience),
      currentDate: this.clock.now(),
      requiredClaims: ['exp', 'sub'],
    });
    return payload as T;
  }
}

const Claims = z.object({ sub: z.string(), sid: z.string() });

/**
 * Access tokens name only the user and the session. Roles are read with each request, because they would become stale
 * in a token.
 */
@Injectable()
export class AccessTokens {
  readonly #issuer: string;

  constructor(
    private readonly jwt: JwtService,
    config: Config,
  ) {
    this.#issuer = config.publicUrl;
  }

  issue(userId: string, sessionId: string): Promise<string> {
    return this.jwt.signAsync(
      { sub: userId, sid: sessionId },
      { issuer: this.#issuer, audience: AUDIENCE, expiresIn: ACCESS_TOKEN_SECONDS },
    );
  }

  /** @throws DomainError `invalid_token` */
  async verify(token: string): Promise<{ userId: string; sessionId: string }> {
    try {
      const claims = await this.jwt.verifyAsync(token, { issuer: this.#issuer, audience: AUDIENCE });
      const { sub, sid } = Claims.parse(claims);
      return { userId: sub, sessionId: sid };
    } catch {
      throw new DomainError('invalid_token', 'The access token is malformed, expired, or from another deployment');
    }
  }
}
