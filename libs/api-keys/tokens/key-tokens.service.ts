import { Injectable } from '@nestjs/common';
import type { RateLimitStatus } from '#libs/admission/rate-limit-window.js';
import { parseCredential } from '#libs/api-key-format/token.js';
import { isOwnRequestId, newId } from '#libs/contract/ids.js';
import { Clock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { DomainError, invalidInput } from '#libs/platform/errors.js';
import type { RequestContext } from '#libs/platform/request-context.js';
import { ApiKeyVerifier } from '../verification/api-key-verifier.js';
import { errorOf } from '../verification/verification-error.js';
import { counted } from '../verification/verification-metrics.js';
import type { VerificationRequest } from '../verification/verification-request.js';
import type { ApiKeyRecord } from '../verification/verification.js';
import { TokenSigner } from './token-signer.js';

/** What a caller wants of a key token. */
interface WantedToken {
  readonly audience: string;
  readonly scopes: readonly string[];
  readonly seconds: number;
}

interface KeyToken {
  readonly token: string;
  readonly expiresAt: Date;
  readonly limits: readonly RateLimitStatus[] | undefined;
}

/** Exchanges keys for tokens (RFC 9068) that services verify without asking Keyledger. */
@Injectable()
export class KeyTokens {
  readonly #issuer: string;
  readonly #audiences: readonly string[];

  constructor(
    private readonly clock: Clock,
    private readonly verifier: ApiKeyVerifier,
    private readonly signer: TokenSigner,
    config: Config,
  ) {
    this.#issuer = config.publicUrl;
    this.#audiences = config.settings.TOKEN_AUDIENCES;
  }

  /**
   * The exchange is a use of the key, and its record is stored before the token exists.
   * @throws DomainError with the code of the verification if it rejects the key
   */
  async exchange(credential: string, wanted: WantedToken, context: RequestContext): Promise<KeyToken> {
    this.#checkAudience(wanted.audience);
    refusePublicKeyAlone(credential);
    // Before the use, because a key is not charged for a token that cannot be signed.
    const sign = await this.signer.ready();
    const request = useFor(credential, wanted, context);
    const result = await counted('token', this.verifier.verify(request));
    const { code, record, limits } = result;
    if (code !== 'valid' || !record) throw errorOf(result, wanted.scopes);
    const issuedAt = Math.floor(this.clock.now().getTime() / 1000);
    const expiresAt = Math.min(issuedAt + wanted.seconds, endOf(record));
    const token = await sign({
      iss: this.#issuer,
      aud: wanted.audience,
      sub: record.apiKeyId,
      client_id: record.apiKeyId,
      jti: request.from.requestId,
      iat: issuedAt,
      exp: expiresAt,
      scope: wanted.scopes.join(' '),
      organization_id: record.organizationId,
      project_id: record.projectId,
      environment: record.environment,
    });
    return { token, expiresAt: new Date(expiresAt * 1000), limits };
  }

  #checkAudience(audience: string): void {
    if (this.#audiences.includes(audience)) return;
    const message =
      this.#audiences.length > 0
        ? 'must be an audience that this deployment names in TOKEN_AUDIENCES'
        : 'is not available: this deployment does not exchange keys for tokens, because it has no TOKEN_AUDIENCES';
    throw invalidInput({ location: 'body.audience', message });
  }
}

/** A public key is on web pages. A token for one would seem to prove more than the public key does. */
function refusePublicKeyAlone(credential: string): void {
  const parsed = parseCredential(credential);
  if (parsed && !parsed.secret) {
    throw new DomainError('invalid_key', 'A public key alone is not exchanged for a token: send the secret');
  }
}

/** The event of this use has the id of the token as its own id. */
function useFor(credential: string, { scopes }: WantedToken, context: RequestContext): VerificationRequest {
  const { method, path, ip, userAgent, origin, requestId, behindUnknownProxy } = context;
  return {
    credential,
    scopes,
    cost: 1,
    endpoint: { method, path },
    from: {
      ip,
      userAgent,
      origin,
      requestId: isOwnRequestId(requestId) ? requestId : newId('req', new Date()),
      addressUnknown: behindUnknownProxy,
    },
  };
}

/** When the key or its secret ends, in seconds since 1970. */
function endOf({ expiresAt, secretEndedAt }: ApiKeyRecord): number {
  const ends = [expiresAt, secretEndedAt].map((end) => end?.getTime() ?? Infinity);
  return Math.floor(Math.min(...ends) / 1000);
}
