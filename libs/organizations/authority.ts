import { createParamDecorator } from '@nestjs/common';
import type { Principal, UserPrincipal } from '#libs/auth/principal.js';
import type { Permission, Route } from '#libs/contract/route.js';
import type { BuiltInScope } from '#libs/contract/scopes.js';
import { DomainError } from '#libs/platform/errors.js';
import { covers, type Rights } from './rights.js';

/** What a call needs: a scope in an organization, for the caller. */
export interface Need<S extends BuiltInScope = BuiltInScope, P extends Principal = Principal> {
  readonly caller: P;
  readonly organizationId: string;
  readonly scope: S;
  readonly reach: Permission['reach'];
}

declare const checked: unique symbol;

/**
 * A need that the caller met when the call arrived, with the caller's rights at that time. Only `Authorities` makes
 * one, before the handler runs: a service that takes one cannot be called without the check.
 */
export interface Authority<S extends BuiltInScope = BuiltInScope, P extends Principal = Principal> extends Need<S, P> {
  readonly [checked]: true;
  readonly rights: Rights;
}

/** The same for a call that concerns several organizations: those in which the caller has the scope. */
export interface AuthorityInEach<S extends BuiltInScope = BuiltInScope> {
  readonly [checked]: S;
  readonly caller: Principal;
  readonly rightsIn: ReadonlyMap<string, Rights>;
}

/** What the guard gives the handler of a route: the types follow from the permission that the route declares. */
export type AuthorityOf<R extends Route> = R['policy'] extends Permission
  ? R['policy']['organization'] extends 'each'
    ? AuthorityInEach<R['policy']['scope']>
    : Authority<R['policy']['scope'], R['policy'] extends { usersOnly: true } ? UserPrincipal : Principal>
  : never;

/** The {@link AuthorityOf} the route of the handler. */
export const Authorized = createParamDecorator((_: unknown, context) => {
  const { authority } = context.switchToHttp().getRequest<{ authority?: object }>();
  if (!authority) throw new Error('The route of this handler declares no permission');
  return authority;
});

/**
 * The same authority for another scope.
 * @throws DomainError `insufficient_scope` if the caller's rights do not include it
 */
export function withScope<S extends BuiltInScope, P extends Principal>(
  authority: Authority<BuiltInScope, P>,
  scope: S,
): Authority<S, P> {
  requireScope(authority.rights, scope);
  return { ...authority, scope };
}

/** @throws DomainError `insufficient_scope` */
export function requireScope(rights: Rights, scope: BuiltInScope): void {
  if (!covers(rights, scope)) throw new DomainError('insufficient_scope', `This needs ${scope}`, { scope });
}

/** An authority in one organization, for a service that takes several. */
export function onlyIn<S extends BuiltInScope>({ caller, organizationId, rights }: Authority<S>): AuthorityInEach<S> {
  return { caller, rightsIn: new Map([[organizationId, rights]]) as ReadonlyMap<string, Rights> } as AuthorityInEach<S>;
}
