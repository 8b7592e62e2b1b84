import { applicationAuthority, commonScopes, isDeploymentScope, missingScopes } from '#libs/contract/scopes.js';
import type { Organization } from '#libs/contract/organizations.js';
import { scopesOfRole } from '#libs/contract/roles.js';
import type { RegisteredScope } from './api-keys.js';

/** The scopes of one resource. */
export interface ScopeGroup {
  readonly resource: string;
  readonly kind: RegisteredScope['kind'];
  readonly scopes: readonly RegisteredScope[];
  /** The wildcard for all present and future scopes of the resource; undefined if it cannot be granted. */
  readonly wildcard: string | undefined;
}

/** All scopes that the signed-in user may grant to a key of the organization, wildcards included. */
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

/** Every scope that the user may give to a key of an organization, by its name. */
export function allScopes(registered: readonly RegisteredScope[], own: readonly string[]): string[] {
  return registered.map(({ scope }) => scope).filter((scope) => !isDeploymentScope(scope) && isCovered(own, scope));
}

/** Adds every scope of the groups by its name, so the key does not get scopes of the future. */
export function chooseFound(
  chosen: readonly string[],
  groups: readonly ScopeGroup[],
  own: readonly string[],
): string[] {
  const found = groups.flatMap(({ scopes }) => allScopes(scopes, own));
  return [...chosen, ...found.filter((scope) => !isCovered(chosen, scope))];
}

/** Removes the scopes and the wildcards of the groups. */
export function removeFound(chosen: readonly string[], groups: readonly ScopeGroup[]): string[] {
  const found = new Set(groups.flatMap(({ scopes, wildcard }) => [...scopes.map(({ scope }) => scope), wildcard]));
  return chosen.filter((scope) => !found.has(scope));
}

/** Application scopes come first, because most keys are for these. */
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

/** Finds scopes that contain every word of the text in their name or description. */
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

/** Adds or removes a scope. Adding it removes the scopes that it covers. */
export function toggleScope(chosen: readonly string[], scope: string, on: boolean): string[] {
  const others = chosen.filter((other) => other !== scope && !(on && isCovered([scope], other)));
  return on ? [...others, scope] : others;
}
