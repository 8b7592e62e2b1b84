import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { missingScopes } from '#libs/contract/scopes.js';
import { authorityOfRole, beyond, type Authority } from './authority.js';

const half = fc.constantFrom('triggers', 'events', 'read', '*');
const authority: fc.Arbitrary<Authority> = fc.record({
  scopes: fc.array(
    fc.tuple(half, half).map((halves) => halves.join(':')),
    { maxLength: 4 },
  ),
  environment: fc.constantFrom('test' as const, 'live' as const, null),
  expiresAt: fc.option(fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) })),
});

describe('authority', () => {
  it('lies within itself', () => {
    fc.assert(fc.property(authority, (own) => expect(beyond(own, own)).toEqual([])));
  });

  it('cannot grow by being handed on: within of within is within', () => {
    fc.assert(
      fc.property(authority, authority, authority, (a, b, c) => {
        if (beyond(a, b).length === 0 && beyond(b, c).length === 0) expect(beyond(a, c)).toEqual([]);
      }),
    );
  });

  it('that lies within another has no scope, environment or lifetime that the other lacks', () => {
    fc.assert(
      fc.property(authority, authority, (own, wanted) => {
        if (beyond(own, wanted).length > 0) return;
        expect(missingScopes(own.scopes, wanted.scopes)).toEqual([]);
        if (own.environment) expect(wanted.environment).toBe(own.environment);
        if (own.expiresAt) expect(wanted.expiresAt!.getTime()).toBeLessThanOrEqual(own.expiresAt.getTime());
      }),
    );
  });

  it('says in words what goes beyond it', () => {
    const own = { scopes: ['a:read'], environment: 'test', expiresAt: new Date('2030-01-01T00:00:00Z') } as const;
    expect(beyond(own, { scopes: ['a:write'], environment: 'live', expiresAt: null })).toEqual([
      'scope a:write',
      'environment live',
      'an expiry after 2030-01-01T00:00:00.000Z',
    ]);
  });

  it('of a viewer or an auditor manages no keys', () => {
    for (const role of ['viewer', 'auditor'] as const) {
      expect(missingScopes(authorityOfRole(role).scopes, ['api-keys:manage'])).toHaveLength(1);
    }
  });
});
