import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import type { FastifyRequest } from 'fastify';
import { HeaderAPIKeyStrategy } from 'passport-headerapikey';
import { CredentialVerifier } from './credential-verifier.js';
import type { Principal } from './principal.js';
import { SessionsService } from './sessions.service.js';

export const API_KEY_STRATEGY = 'x-api-key';
export const BEARER_STRATEGY = 'bearer';

type Done = (error: Error | null, user?: object) => void;

/** passport-headerapikey calls `verify(token, done, request)`. Nest expects `done` last. */
class HeaderStrategy extends HeaderAPIKeyStrategy {
  constructor(
    header: { header: string; prefix: string },
    verify: (token: string, request: FastifyRequest, done: Done) => void,
  ) {
    super(header, true, (token: string, done: Done, request?: unknown) =>
      verify(token, request as FastifyRequest, done),
    );
  }
}

/** `X-API-Key: sk_…` */
@Injectable()
export class ApiKeyStrategy extends PassportStrategy(HeaderStrategy, API_KEY_STRATEGY) {
  constructor(private readonly credentials: CredentialVerifier) {
    super({ header: 'X-API-Key', prefix: '' });
  }

  validate(token: string, request: FastifyRequest): Promise<Principal> {
    return this.credentials.authenticate(token, requiredScopes(request), request.context);
  }
}

/** `Authorization: Bearer …`, with an API key or an access token. */
@Injectable()
export class BearerStrategy extends PassportStrategy(HeaderStrategy, BEARER_STRATEGY) {
  constructor(
    private readonly credentials: CredentialVerifier,
    private readonly sessions: SessionsService,
  ) {
    super({ header: 'Authorization', prefix: 'Bearer ' });
  }

  validate(token: string, request: FastifyRequest): Promise<Principal> {
    return looksLikeJwt(token)
      ? this.sessions.authenticate(token, request.context)
      : this.credentials.authenticate(token, requiredScopes(request), request.context);
  }
}

/** The scopes that the route requires of a key. Without them, the verifier would record a use instead of a denial. */
export function requiredScopes({ routeOptions }: FastifyRequest): readonly string[] {
  const policy = routeOptions.config.implements?.policy;
  return typeof policy === 'object' && !policy.usersOnly ? [policy.scope] : [];
}

/** A JWT has three parts with dots between them; an API key has no dot. */
function looksLikeJwt(token: string): boolean {
  return token.split('.').length === 3;
}
