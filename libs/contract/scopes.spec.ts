import { describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { publicScopes, scopes } from './api-key-schemas.js';
import {
  applicationAuthority,
  builtInScopes,
  commonScopes,
  covers,
  missingScopes,
  Scope,
  unknownScopes,
} from './scopes.js';

const half = fc.constantFrom('triggers', 'events', 'api-keys', 'read', 'manage', '*');
const scope = fc.oneof(
  fc.tuple(half, half).map(([resource, action]) => `${resource}:${action}`),
  fc.constantFrom('deployment:verify', 'api-keys:verify', 'api-keys:read', 'api-keys:manage', 'deployment:*'),
);
const plain = scope.filter((text) => !text.includes('*') && !['deployment:verify', 'api-keys:manage'].includes(text));

describe('a scope', () => {
  it('covers itself, and every scope that its covered scopes cover', () => {
    fc.assert(
      fc.property(scope, scope, scope, (a, b, c) => {
        expect(covers(a, a)).toBe(true);
        if (covers(a, b) && covers(b, c)) expect(covers(a, c)).toBe(true);
        if (covers(a, b) && covers(b, a)) expect(a).toBe(b);
      }),
    );
  });

  it('without a wildcard covers only itself; only a wildcard covers a wildcard', () => {
    fc.assert(
      fc.property(plain, scope, (narrow, other) => {
        expect(covers(narrow, other)).toBe(narrow === other);
      }),
    );
    expect(covers('*:*', 'triggers:*')).toBe(true);
    expect(covers('triggers:*', '*:read')).toBe(false);
    expect(covers('*:read', 'triggers:*')).toBe(false);
  });

  it('for managing keys also covers reading them, and nothing else; one for reading does not cover managing', () => {
    fc.assert(
      fc.property(scope, (other) => {
        expect(covers('api-keys:manage', other)).toBe(['api-keys:manage', 'api-keys:read'].includes(other));
      }),
    );
    expect(covers('*:manage', 'api-keys:read')).toBe(true);
    expect(covers('*:read', 'api-keys:manage')).toBe(false);
    expect(commonScopes(['*:manage'], ['*:read'])).toEqual(['api-keys:read']);
  });

  it.each(['', ':', 'a', 'a:', ':b', 'a:b:c', 'A:b', 'a b:c', '**:a', 'a:*b', `${'a'.repeat(100)}:b`])(
    'is rejected as %p',
    (text) => {
      expect(Scope.safeParse(text).success).toBe(false);
    },
  );
});

describe('a scope of the deployment', () => {
  it('is covered only by itself, not by a wildcard', () => {
    fc.assert(
      fc.property(scope, (granted) => {
        expect(covers(granted, 'deployment:verify')).toBe(granted === 'deployment:verify');
      }),
    );
    expect(covers('*:*', 'deployment:verify')).toBe(false);
    expect(covers('deployment:*', 'deployment:verify')).toBe(false);
    expect(unknownScopes(['deployment:*', '*:verify'], ['deployment:verify'])).toEqual(['deployment:*', '*:verify']);
  });

  it('also verifies keys of its own organization, and allows nothing else', () => {
    expect(covers('deployment:verify', 'api-keys:verify')).toBe(true);
    expect(covers('deployment:verify', 'api-keys:manage')).toBe(false);
    expect(covers('deployment:verify', 'api-keys:*')).toBe(false);
  });
});

describe('the intersection of two sets of scopes', () => {
  it('covers a scope exactly if both sets do', () => {
    fc.assert(
      fc.property(fc.array(scope), fc.array(scope), scope, (a, b, wanted) => {
        const has = (granted: readonly string[]) => missingScopes(granted, [wanted]).length === 0;
        expect(has(commonScopes(a, b))).toBe(has(a) && has(b));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('the authority over the scopes of an application', () => {
  it('covers each of them and every action of their resources, and no built-in scope', () => {
    const authority = applicationAuthority(['triggers:read', 'triggers:write', 'usage:export']);
    expect(authority).toEqual(['triggers:read', 'triggers:write', 'usage:export', 'triggers:*']);
    expect(missingScopes(authority, Object.keys(builtInScopes))).toEqual(Object.keys(builtInScopes));
  });
});

describe('a set of scopes', () => {
  it('lacks exactly the scopes that none of its members covers', () => {
    fc.assert(
      fc.property(fc.array(scope), fc.array(scope), scope, (granted, wanted, extra) => {
        const missing = missingScopes(granted, wanted);
        for (const item of wanted) {
          expect(missing.includes(item)).toBe(!granted.some((candidate) => covers(candidate, item)));
        }
        expect(missing).toEqual(expect.arrayContaining(missingScopes([...granted, extra], wanted)));
      }),
    );
  });

  it('of a key has each scope once, in the order of the request', () => {
    const given = ['b:read', 'a:read', 'b:read', 'a:*', 'a:read'];
    expect(scopes.parse(given)).toEqual(['b:read', 'a:read', 'a:*']);
    expect(publicScopes.parse(given)).toEqual(['b:read', 'a:read', 'a:*']);
    expect(publicScopes.parse(null)).toBeNull();
  });

  it('of the greatest length is compared without splitting each scope for each of the others', () => {
    const granted = Array.from({ length: 100 }, (_, at) => `granted-${at}:read`);
    const wanted = Array.from({ length: 100 }, (_, at) => `wanted-${at}:read`);
    const split = jest.spyOn(String.prototype, 'split');
    expect(missingScopes(granted, wanted)).toEqual(wanted);
    expect(unknownScopes(wanted, granted)).toEqual(wanted);
    const { length } = split.mock.calls;
    split.mockRestore();
    expect(length).toBeLessThanOrEqual(200);
  });

  it('reports scopes that cover no registered scope', () => {
    expect(unknownScopes(['a:read', 'a:*', '*:*', 'b:read', 'b:*', 'a:write'], ['a:read'])).toEqual([
      'b:read',
      'b:*',
      'a:write',
    ]);
  });
});
