import { Injectable, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { AuthGuard } from '@nestjs/passport';
import type { FastifyRequest } from 'fastify';
import type { RoutePolicy, Route } from '#libs/contract/route.js';
import { DomainError } from '#libs/platform/errors.js';
import { ROUTE } from '#libs/platform/http/implements.js';
import type { Principal } from './principal.js';
import { withRequiredScopes } from './required-scopes.js';
import { credentialOf } from './sent-credential.js';
import { API_KEY_STRATEGY, BEARER_STRATEGY } from './strategies.js';

/**
 * The only guard, before every route. The route's declaration decides who may call it; a route without one rejects
 * every caller.
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

/** Checks what a route requires of its caller besides scopes. */
function refuseOthers(policy: RoutePolicy, principal: Principal): void {
  if (policy !== 'user' && policy !== 'operator') return;
  if (principal.type !== 'user') throw new DomainError('user_required');
  if (policy === 'operator' && !principal.operator) throw new DomainError('operator_required');
}

/** Passport's strategies read the headers themselves, so conflicting headers are rejected first. */
function refuseBadCombinations({ headers }: FastifyRequest): void {
  const credential = credentialOf(headers);
  // The scheme name is case-insensitive (RFC 9110, section 11.1), but the strategy compares it exactly.
  if (headers.authorization !== undefined) headers.authorization = `Bearer ${credential}`;
}
