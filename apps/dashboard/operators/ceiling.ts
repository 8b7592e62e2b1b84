import { Scope, covers, isDeploymentScope } from '#libs/contract/scopes.js';

interface Known {
  readonly scope: string;
  readonly description: string | null;
}

export interface ScopeGroup {
  readonly resource: string;
  /** Reaches all of them, and those that come later. */
  readonly wildcard: string | null;
  readonly scopes: readonly Known[];
}

/** By what they are about, as far as they have to do with what is looked for. */
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

/** Whether another of them reaches it already. */
export function isCovered(scope: string, chosen: readonly string[]): boolean {
  return chosen.some((other) => other !== scope && covers(other, scope));
}

/** Those that the groups do not show: wildcards such as `*:read`, and what this deployment does not know yet. */
export function othersOf(chosen: readonly string[], groups: readonly ScopeGroup[]): string[] {
  const shown = new Set(groups.flatMap(({ wildcard, scopes }) => [wildcard, ...scopes.map(({ scope }) => scope)]));
  return chosen.filter((scope) => !shown.has(scope));
}

/** What is wrong with one that was typed; nothing where it may stand. */
export function wrongScope(scopes: readonly string[]): string | null {
  const wrong = scopes.find((scope) => !Scope.safeParse(scope).success);
  return wrong === undefined ? null : `${wrong} must be resource:action, where either half may be *`;
}
