import { Injectable, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { AuthGuard } from '@nestjs/passport';
import type { FastifyRequest } from 'fastify';
import type { Policy, Route } from '#libs/contract/route.js';
import { DomainError } from '#libs/platform/errors.js';
import { ROUTE } from '#libs/platform/http/implements.js';
import type { Principal } from './principal.js';
import { withRequiredScopes } from './required-scopes.js';
import { API_KEY_STRATEGY, BEARER_STRATEGY } from './strategies.js';

/**
 * The one guard, before every route: what a route declares decides who may pass, and a route that declares nothing lets
 * nobody pass.
 */
@Injectable()
export class AccessGuard extends AuthGuard([API_KEY_STRATEGY, BEARER_STRATEGY]) {
  constructor(private readonly reflector: Reflector) {
    super();
  }

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    const policy = this.reflector.get<Route | undefined>(ROUTE, context.getHandler())?.policy;
    if (!policy) throw new DomainError('internal_error');
    if (policy === 'public') return true;

    const request = context.switchToHttp().getRequest<FastifyRequest & { user: Principal }>();
    refuseBadCombinations(request);
    const scopes = typeof policy === 'object' ? [policy.scope] : [];
    await withRequiredScopes(scopes, () => super.canActivate(context));
    refuseOthers(policy, request.user);
    return true;
  }

  override handleRequest<T>(error: unknown, principal: T | false): T {
    if (error) throw error;
    if (!principal) throw new DomainError('unauthenticated');
    return principal;
  }
}

/** Asks for what a route asks of the caller beyond scopes. */
function refuseOthers(policy: Policy, principal: Principal): void {
  if (policy !== 'user' && policy !== 'operator') return;
  if (principal.type !== 'user') throw new DomainError('user_required');
  if (policy === 'operator' && !principal.operator) throw new DomainError('operator_required');
}

/** Two headers that agree are one credential; two that differ would leave it open whose request this is. */
function refuseBadCombinations(request: FastifyRequest): void {
  const apiKey = request.headers['x-api-key'];
  const authorization = request.headers.authorization;
  if (apiKey === undefined && authorization === undefined) throw new DomainError('unauthenticated');
  if (authorization === undefined) return;

  const [scheme, token, ...rest] = authorization.trim().split(/ +/);
  if (scheme?.toLowerCase() !== 'bearer' || !token || rest.length > 0) {
    throw new DomainError('unauthenticated', 'Authorization must be Bearer, a space, and one credential');
  }
  if (apiKey !== undefined && apiKey !== token) throw new DomainError('multiple_credentials');
  // The scheme's name is case-insensitive (RFC 9110, section 11.1); the strategy's is not.
  request.headers.authorization = `Bearer ${token}`;
}
