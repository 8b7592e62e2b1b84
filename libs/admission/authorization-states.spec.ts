import { describe, expect, it } from '@jest/globals';
import { changesBetween, eachObjectOnce, type AuthorizationChange } from './authorization-states.js';

const change = (seq: number, tag = `t${seq}`): AuthorizationChange => ({ seq, tag, kind: 'api_key', id: `id${seq}` });
const known = { seq: 5, tag: 't5' };

describe('the changes between two states', () => {
  it('are all changes after the known state', () => {
    const read = { seq: 7, tag: 't7', changes: [change(5), change(6), change(7)] };
    expect(changesBetween(known, read)).toEqual([change(6), change(7)]);
  });

  it.each([
    ['the known one is not in the record any more', { seq: 7, tag: 't7', changes: [change(6), change(7)] }],
    ['nothing is in the record', { seq: 7, tag: 't7', changes: [] }],
    ['one is missing', { seq: 8, tag: 't8', changes: [change(5), change(6), change(8)] }],
    ['the last one is missing', { seq: 7, tag: 't7', changes: [change(5), change(6)] }],
    [
      'the known number was lost in a failover and given out again',
      { seq: 6, tag: 't6', changes: [change(5, 'another'), change(6)] },
    ],
    ['the state is another than the last change says', { seq: 6, tag: 'another', changes: [change(5), change(6)] }],
    [
      'one is of a kind that only a newer version knows',
      { seq: 6, tag: 't6', changes: [change(5), { ...change(6), kind: 'tenant' as 'project' }] },
    ],
    ['the state went back', { seq: 4, tag: 't4', changes: [] }],
  ])('are unknown if %s', (_, read) => {
    expect(changesBetween(known, read)).toBeNull();
  });
});

it('many changes of one object cost the caches as much as one', () => {
  const policyOf = (seq: number) => ({ ...change(seq), kind: 'organization' as const, id: 'id1' });
  const other = { ...change(7), id: 'id1' };
  expect(eachObjectOnce([policyOf(5), policyOf(6), other, policyOf(8)])).toEqual([policyOf(8), other]);
});
