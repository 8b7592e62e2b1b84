import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isWithin } from '#libs/contract/networks.js';
import type { Role } from '#libs/contract/organizations.js';
import { applicationAuthority, missingScopes } from '#libs/contract/scopes.js';
import { isHigher, mayAssign } from '#libs/contract/roles.js';
import { rightsOfRole, beyond, type Rights } from './rights.js';

const unlimited = {
  grants: [],
  environment: null,
  expiresAt: null,
  projectId: null,
  allowedIps: [],
  rateLimits: [],
  limitedKey: null,
  keysOf: null,
};
const half = fc.constantFrom('triggers', 'api-keys', 'manage', 'read', '*');
const rateLimit = fc.record({
  name: fc.constantFrom('a', 'b'),
  limit: fc.integer({ min: 1, max: 3 }),
  window_seconds: fc.integer({ min: 1, max: 3 }),
});
const authority: fc.Arbitrary<Rights> = fc.record({
  grants: fc.constant([]),
  scopes: fc.array(
    fc.tuple(half, half).map((halves) => halves.join(':')),
    { maxLength: 4 },
  ),
  environment: fc.constantFrom('test' as const, 'live' as const, null),
  projectId: fc.constantFrom('proj_a', 'proj_b', null),
  allowedIps: fc.uniqueArray(fc.constantFrom('10.0.0.0/8', '10.1.0.0/16', '10.1.2.3', '192.0.2.0/24', '2001:db8::/32')),
  rateLimits: fc.array(rateLimit, { maxLength: 3 }),
  limitedKey: fc.constantFrom('key_a', 'key_b', null),
  keysOf: fc.constantFrom('user_a', 'user_b', null),
  expiresAt: fc.option(fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) })),
});

describe('authority', () => {
  it('lies within itself', () => {
    fc.assert(fc.property(authority, (own) => expect(beyond(own, own)).toEqual([])));
  });

  it('cannot grow through delegation: the relation is transitive', () => {
    fc.assert(
      fc.property(authority, authority, authority, (a, b, c) => {
        if (beyond(a, b).length === 0 && beyond(b, c).length === 0) expect(beyond(a, c)).toEqual([]);
      }),
    );
  });

  it('that lies within another covers no further scope, environment, project, address, rate, key or time', () => {
    fc.assert(
      fc.property(authority, authority, (own, wanted) => {
        if (beyond(own, wanted).length > 0) return;
        expect(missingScopes(own.scopes, wanted.scopes)).toEqual([]);
        if (own.environment) expect(wanted.environment).toBe(own.environment);
        if (own.projectId) expect(wanted.projectId).toBe(own.projectId);
        if (own.allowedIps.length > 0) {
          for (const address of ['10.0.0.1', '10.1.2.3', '192.0.2.1', '198.51.100.1', '2001:db8::1']) {
            if (allows(wanted, address)) expect(allows(own, address)).toBe(true);
          }
        }
        if (own.rateLimits.length > 0) expect(wanted.limitedKey).toBe(own.limitedKey);
        for (const seconds of [1, 2, 3, 7]) expect(most(wanted, seconds)).toBeLessThanOrEqual(most(own, seconds));
        if (own.keysOf && missingScopes(wanted.scopes, ['api-keys:read']).length === 0) {
          expect(wanted.keysOf).toBe(own.keysOf);
        }
        if (own.expiresAt) expect(wanted.expiresAt!.getTime()).toBeLessThanOrEqual(own.expiresAt.getTime());
      }),
    );
  });

  it('names in words what exceeds it', () => {
    const own: Rights = {
      grants: [],
      scopes: ['a:read', 'api-keys:manage'],
      environment: 'test',
      expiresAt: new Date('2030-01-01T00:00:00Z'),
      projectId: 'proj_a',
      allowedIps: ['10.0.0.0/8'],
      rateLimits: [{ name: 'per-minute', limit: 100, window_seconds: 60 }],
      limitedKey: 'key_a',
      keysOf: 'user_a',
    };
    expect(beyond(own, { ...unlimited, scopes: ['a:write', 'api-keys:manage'], environment: 'live' })).toEqual([
      'scope a:write',
      'environment live',
      'an expiry after 2030-01-01T00:00:00.000Z',
      'the whole organization',
      'addresses outside 10.0.0.0/8',
      'rights for other keys, because it has rate limits',
      'a rate above per-minute=100/60s',
      "other people's keys",
    ]);
  });

  it('of an auditor includes reading keys, and that of a viewer does not', () => {
    expect(missingScopes(rightsOfRole('auditor', 'user_a', []).scopes, ['api-keys:read'])).toEqual([]);
    expect(missingScopes(rightsOfRole('viewer', 'user_a', []).scopes, ['api-keys:read'])).toHaveLength(1);
  });

  it('of a viewer or an auditor does not include managing keys', () => {
    for (const role of ['viewer', 'auditor'] as const) {
      expect(missingScopes(rightsOfRole(role, 'user_a', []).scopes, ['api-keys:manage'])).toHaveLength(1);
    }
  });

  it('of a developer covers the application scopes, no further built-in scopes, and only their own keys', () => {
    const developer = rightsOfRole('developer', 'user_a', applicationAuthority(['triggers:read', 'usage:export']));
    const grants = (scope: string) => missingScopes(developer.scopes, [scope]).length === 0;
    expect(['triggers:read', 'triggers:*', 'usage:export', 'usage:read', 'api-keys:manage'].every(grants)).toBe(true);
    const beyondThem = ['usage:*', '*:read', '*:*', 'audit:read', 'api-keys:verify', 'organizations:write'];
    expect(beyondThem.filter(grants)).toEqual([]);
    expect(developer.keysOf).toBe('user_a');
  });
});

describe('roles', () => {
  const role = fc.constantFrom<Role>('owner', 'admin', 'developer', 'auditor', 'viewer');

  it('are assigned by owners, and by admins except to and from owners', () => {
    fc.assert(
      fc.property(role, role, (own, other) => {
        expect(mayAssign(own, other)).toBe(own === 'owner' || (own === 'admin' && other !== 'owner'));
      }),
    );
  });

  it('have one order', () => {
    fc.assert(
      fc.property(role, role, (a, b) =>
        expect([a === b, isHigher(a, b), isHigher(b, a)].filter(Boolean)).toHaveLength(1),
      ),
    );
  });
});

function allows({ allowedIps }: Rights, address: string): boolean {
  return allowedIps.length === 0 || allowedIps.some((network) => isWithin(address, network));
}

/** Maximum of requests within so many seconds: each limit, times the number of its windows. */
function most({ rateLimits }: Rights, seconds: number): number {
  return Math.min(...rateLimits.map(({ limit, window_seconds: window }) => limit * Math.ceil(seconds / window)));
}
