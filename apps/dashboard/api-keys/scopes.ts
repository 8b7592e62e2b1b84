import { applicationAuthority, commonScopes, isDeploymentScope, missingScopes } from '#libs/contract/scopes.js';
import type { Organization } from '#libs/contract/organizations.js';
import { scopesOfRole } from '#libs/contract/roles.js';
import type { RegisteredScope } from './api-keys.js';

/** The scopes of one resource. */
export interface ScopeGroup {
  readonly resource: string;
  readonly kind: RegisteredScope['kind'];
  readonly scopes: readonly RegisteredScope[];
  /** All that there is of the resource, now and later; undefined where nobody can have that. */
  readonly wildcard: string | undefined;
}

/** All that whoever is signed in may give to a key here, wildcards included. */
export function grantable(
  registered: readonly RegisteredScope[],
  { role, scope_ceiling: ceiling }: Pick<Organization, 'role' | 'scope_ceiling'>,
  operator: boolean,
): string[] {
  const application = applicationAuthority(applicationScopes(registered));
  const own = role ? scopesOfRole[role](application) : [];
  const deployment = operator ? registered.map(({ scope }) => scope).filter(isDeploymentScope) : [];
  return commonScopes([...own, ...deployment], ceiling ?? ['*:*', ...deployment]);
}

export function applicationScopes(registered: readonly RegisteredScope[]): string[] {
  return registered.filter(({ kind }) => kind === 'application').map(({ scope }) => scope);
}

/** What one gets who names none: see the contract of `POST /api/v1/api-keys`. */
export function scopesByDefault(registered: readonly RegisteredScope[], own: readonly string[]): string[] {
  return registered.map(({ scope }) => scope).filter((scope) => !isDeploymentScope(scope) && isCovered(own, scope));
}

/** The deployment's own API first: that is what most keys are for. */
export function groupScopes(registered: readonly RegisteredScope[]): ScopeGroup[] {
  const groups = Map.groupBy(registered, ({ scope }) => scope.split(':', 1)[0]!);
  return [...groups]
    .map(([resource, scopes]) => ({
      resource,
      kind: scopes[0]!.kind,
      scopes,
      wildcard: resource === 'deployment' ? undefined : `${resource}:*`,
    }))
    .toSorted((one, other) => one.kind.localeCompare(other.kind) || one.resource.localeCompare(other.resource));
}

/** By every word of what is looked for, in the name or the explanation. */
export function searchScopes(groups: readonly ScopeGroup[], text: string): ScopeGroup[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return groups
    .map((group) => ({
      ...group,
      scopes: group.scopes.filter(({ scope, description }) =>
        words.every((word) => `${scope} ${description ?? ''}`.toLowerCase().includes(word)),
      ),
    }))
    .filter(({ scopes }) => scopes.length > 0);
}

export function isCovered(granted: readonly string[], scope: string): boolean {
  return missingScopes(granted, [scope]).length === 0;
}

/** Chosen or not, what it makes unnecessary left out. */
export function toggleScope(chosen: readonly string[], scope: string, on: boolean): string[] {
  const others = chosen.filter((other) => other !== scope && !(on && isCovered([scope], other)));
  return on ? [...others, scope] : others;
}
