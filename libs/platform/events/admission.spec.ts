import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { gather } from './admission.js';

type Charged = Parameters<typeof gather>[0][number];

const request = fc.record({
  organizationId: fc.constantFrom('org_a', 'org_b', 'org_c'),
  amount: fc.integer({ min: 1, max: 10 }),
  tag: fc.constantFrom('1', '2'),
});

function waiting({ organizationId, amount, tag }: typeof request extends fc.Arbitrary<infer R> ? R : never): Charged {
  const nothing = () => undefined;
  return { shard: 1, tag, entry: '', charge: { organizationId, amount }, resolve: nothing, reject: nothing, busy: 0 };
}

describe('what is charged in one statement', () => {
  const batches = fc.array(request.map(waiting), { maxLength: 20 });
  const limits = fc
    .dictionary(fc.constantFrom('org_a', 'org_b', 'org_c'), fc.nat(15))
    .map((known) => new Map(Object.entries(known)));

  it('is one row for an organization, all decided under one state, within what its balance is known to reach', () => {
    fc.assert(
      fc.property(batches, limits, (batch, reach) => {
        const known = new Map(reach);
        const { rows } = gather(batch, reach);
        const organizations = rows.map((row) => row.waiting[0]!.charge.organizationId);
        expect(new Set(organizations).size).toBe(rows.length);
        for (const { waiting } of rows) {
          const { charge, tag } = waiting[0]!;
          const sum = waiting.reduce((total, one) => total + one.charge.amount, 0);
          expect(waiting.every((one) => one.tag === tag && one.charge.organizationId === charge.organizationId)).toBe(
            true,
          );
          // The first always goes, for only a statement may refuse it.
          if (waiting.length > 1) expect(sum).toBeLessThanOrEqual(known.get(charge.organizationId) ?? Infinity);
        }
      }),
    );
  });

  it('and what comes later are together what was there, each once', () => {
    fc.assert(
      fc.property(batches, limits, (batch, reach) => {
        const { rows, later } = gather(batch, reach);
        const all = [...rows.flatMap((row) => row.waiting), ...later];
        expect(all).toHaveLength(batch.length);
        expect(new Set(all)).toEqual(new Set(batch));
      }),
    );
  });

  it('holds the first of each organization, so that whatever waits gets on', () => {
    fc.assert(
      fc.property(batches, limits, (batch, reach) => {
        const first = [...Map.groupBy(batch, ({ charge }) => charge.organizationId).values()].map(([one]) => one);
        expect(gather(batch, reach).rows.map((row) => row.waiting[0])).toEqual(first);
      }),
    );
  });
});
