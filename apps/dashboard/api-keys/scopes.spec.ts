import { describe, expect, it } from '@jest/globals';
import { builtInScopes } from '#libs/contract/scopes.js';
import type { RegisteredScope } from './api-keys.js';
import {
  allScopes,
  chooseFound,
  grantable,
  groupScopes,
  isCovered,
  removeFound,
  searchScopes,
  toggleScope,
} from './scopes.js';

const registered: RegisteredScope[] = [
  ...Object.entries(builtInScopes).map(([scope, description]) => ({ scope, kind: 'management' as const, description })),
  ...['triggers:read', 'triggers:write', 'events:read'].map((scope) => ({
    scope,
    kind: 'application' as const,
    description: null,
  })),
];

describe('the scopes that a user may give to a key', () => {
  it('are for an owner all scopes within the organization', () => {
    const own = grantable(registered, { role: 'owner', scope_ceiling: null }, false);
    expect(isCovered(own, 'audit:read')).toBe(true);
    expect(isCovered(own, 'triggers:*')).toBe(true);
    expect(isCovered(own, 'deployment:verify')).toBe(false);
    expect(isCovered(grantable(registered, { role: 'owner', scope_ceiling: null }, true), 'deployment:verify')).toBe(
      true,
    );
  });

  it('are for a developer the scopes of the role and the application scopes', () => {
    const own = grantable(registered, { role: 'developer', scope_ceiling: null }, false);
    expect(isCovered(own, 'audit:read')).toBe(false);
    expect(allScopes(registered, own)).toEqual([
      'organizations:read',
      'api-keys:manage',
      'api-keys:read',
      'usage:read',
      'triggers:read',
      'triggers:write',
      'events:read',
    ]);
  });

  it('stay below the ceiling of the organization', () => {
    const own = grantable(registered, { role: 'owner', scope_ceiling: ['triggers:*'] }, false);
    expect(allScopes(registered, own)).toEqual(['triggers:read', 'triggers:write']);
    expect(isCovered(own, 'events:read')).toBe(false);
  });
});

describe('the list of scopes', () => {
  it('has the vendor’s API first, and a wildcard for each resource except the deployment', () => {
    const groups = groupScopes(registered);
    expect(groups.map(({ resource }) => resource).slice(0, 2)).toEqual(['events', 'triggers']);
    expect(groups.find(({ resource }) => resource === 'triggers')!.wildcard).toBe('triggers:*');
    expect(groups.find(({ resource }) => resource === 'deployment')!.wildcard).toBeUndefined();
  });

  it('is searched by words in names and descriptions', () => {
    expect(searchScopes(groupScopes(registered), 'audit log').map(({ resource }) => resource)).toEqual(['audit']);
  });

  it('drops scopes that a wildcard covers', () => {
    expect(toggleScope(['triggers:read', 'events:read'], 'triggers:*', true)).toEqual(['events:read', 'triggers:*']);
    expect(toggleScope(['events:read', 'triggers:*'], 'triggers:*', false)).toEqual(['events:read']);
  });

  it('chooses and removes together what a search finds, and nothing else', () => {
    const own = grantable(registered, { role: 'owner', scope_ceiling: null }, true);
    const found = searchScopes(groupScopes(registered), 'events');
    expect(chooseFound(['triggers:read'], found, own)).toEqual(['triggers:read', 'events:read']);
    expect(chooseFound(['events:*'], found, own)).toEqual(['events:*']);
    expect(removeFound(['triggers:read', 'events:read', 'events:*'], found)).toEqual(['triggers:read']);
    expect(chooseFound([], searchScopes(groupScopes(registered), 'deployment'), own)).toEqual([]);
  });
});
