import { Injectable, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { AuthGuard } from '@nestjs/passport';
import type { FastifyRequest } from 'fastify';
import { isForUsers, type Route } from '#libs/contract/route.js';
import { DomainError } from '#libs/platform/errors.js';
import { parseInput } from '#libs/platform/http/input.js';
import { ROUTE } from '#libs/platform/http/implements.js';
import { Authorizer, type NamesOrganization } from './authorizer.js';
import { CredentialVerifier } from './credential-verifier.js';
import type { Principal } from './principal.js';
import { credentialOf } from './sent-credential.js';
import { API_KEY_STRATEGY, BEARER_STRATEGY, requiredScopes } from './strategies.js';

type GuardedRequest = FastifyRequest & { user: Principal; authority?: object };

/**
 * The only guard, before every route. The route's declaration decides who may call it; a route without one rejects
 * every caller. Three steps: who calls, what they ask, and whether they may.
 */
@Injectable()
export class AccessGuard extends AuthGuard([API_KEY_STRATEGY, BEARER_STRATEGY]) {
  constructor(
    private readonly reflector: Reflector,
    private readonly authorizer: Authorizer,
    private readonly credentials: CredentialVerifier,
  ) {
    super();
  }

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    const route = this.reflector.get<Route | undefined>(ROUTE, context.getHandler());
    if (!route) throw new DomainError('internal_error');
    const { policy } = route;
    const request = context.switchToHttp().getRequest<GuardedRequest>();
    const isAuthenticated = policy !== 'public' && policy !== 'key';
    if (isAuthenticated) {
      refuseBadCombinations(request);
      await super.canActivate(context);
      refuseOthers(route, request.user);
    }
    try {
      // After the credential, so that a caller without one learns nothing about valid input.
      request.input = parseInput(route, request);
      if (typeof policy === 'object') {
        const input = request.input as NamesOrganization;
        request.authority = await this.authorizer.authorize(request.user, policy, input, route.method === 'GET');
      }
    } catch (error) {
      if (isAuthenticated && request.user.type === 'api_key') {
        await this.credentials.recordRefused(request.user, requiredScopes(request));
      }
      throw error;
    }
    return true;
  }

  override handleRequest<T>(error: unknown, principal: T | false): T {
    if (error) throw error;
    if (!principal) throw new DomainError('unauthenticated');
    return principal;
  }
}

/** Checks which kind of caller a route requires. */
function refuseOthers(route: Route, principal: Principal): void {
  if (!isForUsers(route)) return;
  if (principal.type !== 'user') throw new DomainError('user_required');
  if (route.policy === 'operator' && !principal.operator) throw new DomainError('operator_required');
}

/** Passport's strategies read the headers themselves, so conflicting headers are rejected first. */
function refuseBadCombinations({ headers }: FastifyRequest): void {
  const credential = credentialOf(headers);
  // The scheme name is case-insensitive (RFC 9110, section 11.1), but the strategy compares it exactly.
  if (headers.authorization !== undefined) headers.authorization = `Bearer ${credential}`;
}
