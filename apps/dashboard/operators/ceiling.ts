import { Scope, covers, isDeploymentScope } from '#libs/contract/scopes.js';

interface Known {
  readonly scope: string;
  readonly description: string | null;
}

export interface ScopeGroup {
  readonly resource: string;
  /** A wildcard that covers all scopes of the resource, including future ones. */
  readonly wildcard: string | null;
  readonly scopes: readonly Known[];
}

/** The scopes that match the search, grouped by resource. */
export function groupsOf(known: readonly Known[], search: string): ScopeGroup[] {
  const wanted = search.trim().toLowerCase();
  const matching = known.filter(({ scope, description }) =>
    `${scope} ${description ?? ''}`.toLowerCase().includes(wanted),
  );
  const byResource = Map.groupBy(matching, ({ scope }) => scope.split(':', 1)[0]!);
  return [...byResource].map(([resource, scopes]) => ({
    resource,
    wildcard: scopes.some(({ scope }) => isDeploymentScope(scope)) ? null : `${resource}:*`,
    scopes,
  }));
}

/** Whether another chosen scope covers this one. */
export function isCovered(scope: string, chosen: readonly string[]): boolean {
  return chosen.some((other) => other !== scope && covers(other, scope));
}

/** Chosen scopes that are not in the groups: wildcards such as `*:read`, and scopes unknown to this deployment. */
export function othersOf(chosen: readonly string[], groups: readonly ScopeGroup[]): string[] {
  const shown = new Set(groups.flatMap(({ wildcard, scopes }) => [wildcard, ...scopes.map(({ scope }) => scope)]));
  return chosen.filter((scope) => !shown.has(scope));
}

/** An error message for the first invalid scope; null if all are valid. */
export function wrongScope(scopes: readonly string[]): string | null {
  const wrong = scopes.find((scope) => !Scope.safeParse(scope).success);
  return wrong === undefined ? null : `${wrong} must be resource:action, where either half may be *`;
}
