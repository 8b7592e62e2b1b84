import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MAX_ENTRY_BYTES } from '#libs/tlog/entries.js';
import { partsOf, stateOf } from './recorded-state.js';
import { KINDS, State, type Fields } from './state.js';

const value = fc.oneof(
  { weight: 5, arbitrary: fc.jsonValue() },
  // Longer than an event, in characters of up to six bytes in JSON.
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('a', '"', '\u0001', 'é', '🔑'), fc.integer({ min: 1, max: 20_000 }))
      .map(([character, length]) => character.repeat(length)),
  },
);
const fields: fc.Arbitrary<Fields> = fc.dictionary(fc.string({ minLength: 1, maxLength: 10 }), value, { maxKeys: 4 });
const objects = fc.array(fc.tuple(fc.constantFrom(...KINDS), fc.string({ maxLength: 5 }), fields), { maxLength: 20 });

function newState(of: readonly (readonly [kind: (typeof KINDS)[number], id: string, fields: Fields])[]): State {
  const state = new State();
  for (const [kind, id, own] of of) state.put(kind, id, JSON.parse(JSON.stringify(own)) as Fields);
  return state;
}

/** By kind and id. */
function plain(state: State): unknown {
  return Object.fromEntries(KINDS.map((kind) => [kind, Object.fromEntries(state.of(kind))]));
}

describe('a recorded state', () => {
  it('is the same when it is read, and each part fits into an event', () => {
    fc.assert(
      fc.property(objects, (of) => {
        const state = newState(of);
        const parts = partsOf(state, 256, true);
        for (const part of parts) {
          expect(Buffer.byteLength(JSON.stringify(part))).toBeLessThan(MAX_ENTRY_BYTES - 2_000);
          // PostgreSQL refuses JSON with half of a surrogate pair.
          expect(part.state.every(([, , , piece]) => piece?.isWellFormed() ?? true)).toBe(true);
        }
        const read = stateOf(JSON.parse(JSON.stringify(parts)) as typeof parts)!;
        expect(plain(read)).toEqual(plain(state));
      }),
      { numRuns: 100, endOnFailure: true },
    );
  });

  it('is not used if a part is missing, repeated, out of order or of another state', () => {
    const state = newState(Array.from({ length: 40 }, (_, n) => ['project', `${n}`, { name: 'x'.repeat(5_000) }]));
    const parts = partsOf(state, 256, true);
    expect(parts.length).toBeGreaterThan(2);
    expect(stateOf(parts)).not.toBeNull();
    expect(stateOf([])).toBeNull();
    expect(stateOf(parts.slice(1))).toBeNull();
    expect(stateOf(parts.slice(0, -1))).toBeNull();
    expect(stateOf(parts.toReversed())).toBeNull();
    expect(stateOf([...parts, parts.at(-1)!])).toBeNull();
    expect(stateOf(parts.with(1, { ...parts[1]!, below: 512 }))).toBeNull();
  });

  it('names no people if the deployment records them by their ids', () => {
    const state = newState([
      ['organization', 'org', { name: 'Ada Lovelace', version: 1 }],
      ['account', 'user', { name: 'Ada Lovelace', email: 'ada@example.com' }],
      ['invitation', 'inv', { email: 'ada@example.com', role: 'viewer' }],
      ['project', 'proj', { name: 'Shop' }],
    ]);
    const text = JSON.stringify(partsOf(state, 256, false));
    expect(text).not.toContain('Lovelace');
    expect(text).not.toContain('@');
    expect(text).toContain('Shop');
  });
});
