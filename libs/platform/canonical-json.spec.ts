import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJson } from './canonical-json.js';

const json = fc.jsonValue({ maxDepth: 4 });

/** The same value, with every difference that has no meaning. */
function saidOtherwise(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(saidOtherwise).toReversed();
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, inner]) => [name, saidOtherwise(inner)]);
  return Object.fromEntries([...members.toReversed(), ['\u0001left out', undefined]]);
}

describe('the canonical form', () => {
  it('is the same for equivalent values', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(canonicalJson(saidOtherwise(value))).toBe(canonicalJson(value));
      }),
    );
  });

  it('differs for different values, and is JSON', () => {
    fc.assert(
      fc.property(json, json, (one, other) => {
        const parsed: unknown = JSON.parse(canonicalJson(one));
        expect(canonicalJson(parsed)).toBe(canonicalJson(one));
        if (canonicalJson(one) === canonicalJson(other)) expect(asSets(one)).toEqual(asSets(other));
      }),
    );
  });

  it.each([
    [{ a: '1' }, { a: 1 }],
    [{ a: null }, {}],
    [{ a: [] }, { a: {} }],
    [['a', 'b'], ['a,b']],
    [{ a: 'b":"c' }, { a: 'b', c: '' }],
    [[['a'], 'b'], [['a', 'b']]],
  ])('of %j differs from that of %j', (one, other) => {
    expect(canonicalJson(one)).not.toBe(canonicalJson(other));
  });
});

function asSets(value: unknown): unknown {
  if (Array.isArray(value)) return new Set(value.map(asSets));
  if (typeof value !== 'object' || value === null) return value === 0 ? 0 : value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, asSets(inner)]));
}
