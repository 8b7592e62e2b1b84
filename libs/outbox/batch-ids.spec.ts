import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { validate, version } from 'uuid';
import { BatchIds } from './batch-ids.js';

const START = Date.parse('2026-11-30T12:00:00Z');

describe('the ids of batches', () => {
  it('keep the order in which they were made, also within one microsecond', () => {
    const step = fc.constantFrom(0, 0, 0.001, 0.4, 1, 12_000);
    fc.assert(
      fc.property(fc.array(step, { minLength: 2, maxLength: 50 }), (steps) => {
        const ids = new BatchIds();
        let now = START;
        const made = steps.map((ms) => ids.next((now += ms)));
        expect(made.map((id) => [validate(id), version(id)])).toEqual(made.map(() => [true, 7]));
        expect(made.toSorted()).toEqual(made);
        expect(new Set(made).size).toBe(made.length);
      }),
    );
  });

  it('follow a clock that goes back', () => {
    const ids = new BatchIds();
    const [later, earlier] = [ids.next(START + 1_000), ids.next(START)];
    expect(earlier < later).toBe(true);
  });

  it('differ between processes', () => {
    expect(new BatchIds().next(START)).not.toBe(new BatchIds().next(START));
  });
});
