import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { HeaderAPIKeyStrategy } from 'passport-headerapikey';
import { CredentialVerifier } from './credential-verifier.js';
import type { Principal } from './principal.js';
import { requiredScopes } from './required-scopes.js';
import { SessionsService } from './sessions.service.js';

export const API_KEY_STRATEGY = 'x-api-key';
export const BEARER_STRATEGY = 'bearer';

/** `X-API-Key: sk_…` */
@Injectable()
export class ApiKeyStrategy extends PassportStrategy(HeaderAPIKeyStrategy, API_KEY_STRATEGY) {
  constructor(private readonly credentials: CredentialVerifier) {
    super({ header: 'X-API-Key', prefix: '' }, false);
  }

  validate(token: string): Promise<Principal> {
    return this.credentials.authenticate(token, requiredScopes());
  }
}

/** `Authorization: Bearer …`, with an API key or an access token. */
@Injectable()
export class BearerStrategy extends PassportStrategy(HeaderAPIKeyStrategy, BEARER_STRATEGY) {
  constructor(
    private readonly credentials: CredentialVerifier,
    private readonly sessions: SessionsService,
  ) {
    super({ header: 'Authorization', prefix: 'Bearer ' }, false);
  }

  validate(token: string): Promise<Principal> {
    return looksLikeJwt(token)
      ? this.sessions.authenticate(token)
      : this.credentials.authenticate(token, requiredScopes());
  }
}

/** A JWT has three parts with dots between them; an API key has no dot. */
function looksLikeJwt(token: string): boolean {
  return token.split('.').length === 3;
}
