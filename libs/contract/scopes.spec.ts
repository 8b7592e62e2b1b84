import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { covers, missingScopes, Scope, unknownScopes } from './scopes.js';

const half = fc.constantFrom('triggers', 'events', 'read', 'write', '*');
const scope = fc.tuple(half, half).map(([resource, action]) => `${resource}:${action}`);
const plain = scope.filter((text) => !text.includes('*'));

describe('a scope', () => {
  it('covers itself, and what it covers covers nothing more than it does', () => {
    fc.assert(
      fc.property(scope, scope, scope, (a, b, c) => {
        expect(covers(a, a)).toBe(true);
        if (covers(a, b) && covers(b, c)) expect(covers(a, c)).toBe(true);
        if (covers(a, b) && covers(b, a)) expect(a).toBe(b);
      }),
    );
  });

  it('without a wildcard covers itself alone; a wildcard is covered by a wildcard alone', () => {
    fc.assert(
      fc.property(plain, scope, (narrow, other) => {
        expect(covers(narrow, other)).toBe(narrow === other);
      }),
    );
    expect(covers('*:*', 'triggers:*')).toBe(true);
    expect(covers('triggers:*', '*:read')).toBe(false);
    expect(covers('*:read', 'triggers:*')).toBe(false);
  });

  it.each(['', ':', 'a', 'a:', ':b', 'a:b:c', 'A:b', 'a b:c', '**:a', 'a:*b', `${'a'.repeat(100)}:b`])(
    'is refused when it is %p',
    (text) => {
      expect(Scope.safeParse(text).success).toBe(false);
    },
  );
});

describe('a set of scopes', () => {
  it('lacks exactly what none of its members covers, and more members never make it lack more', () => {
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

  it('names what reaches no registered scope', () => {
    expect(unknownScopes(['a:read', 'a:*', '*:*', 'b:read', 'b:*', 'a:write'], ['a:read'])).toEqual([
      'b:read',
      'b:*',
      'a:write',
    ]);
  });
});
