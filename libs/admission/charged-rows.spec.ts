import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { useOf } from '../../test/support/uses.js';
import { gather } from './charged-rows.js';

type Charged = Parameters<typeof gather>[0][number];

const organization = fc.constantFrom('org_a', 'org_b');
/** Each key has its own organization. The state says whether that organization has a balance. */
const request = fc
  .record({
    organization,
    key: fc.constantFrom(undefined, 'key_1', 'key_2'),
    amount: fc.integer({ min: 1, max: 10 }),
    tag: fc.constantFrom('metered', 'metered, later', 'unmetered'),
  })
  .filter(({ key, tag }) => key !== undefined || tag !== 'unmetered');

function waiting({
  organization,
  key,
  amount,
  tag,
}: typeof request extends fc.Arbitrary<infer R> ? R : never): Charged {
  const nothing = () => undefined;
  const charge = {
    amount,
    ...(tag !== 'unmetered' && { organizationId: organization }),
    ...(key && { limited: { apiKeyId: `${organization} ${key}`, limits: 1 } }),
  };
  const basis = { shard: 1, seq: 1, tag, restsOn: [] };
  return { shard: 1, basis, use: useOf(organization), charge, resolve: nothing, reject: nothing };
}

const sourcesOf = ({ charge }: Charged) =>
  [charge.organizationId, charge.limited?.apiKeyId].filter((source) => source !== undefined);
const sum = (all: readonly Charged[]) => all.reduce((total, { charge }) => total + charge.amount, 0);

describe('the requests of one admission statement', () => {
  const batches = fc.array(request.map(waiting), { maxLength: 20 });
  const source = fc.oneof(organization, fc.constantFrom('org_a key_1', 'org_a key_2', 'org_b key_1'));
  const limits = fc.dictionary(source, fc.nat(15)).map((known) => new Map(Object.entries(known)));

  it('have one row for each key with limits and one for all other keys of an organization, each with one state', () => {
    fc.assert(
      fc.property(batches, limits, (batch, reach) => {
        const { rows } = gather(batch, reach);
        const whose = rows.map(
          ({ waiting: [first] }) => first!.charge.limited?.apiKeyId ?? first!.charge.organizationId,
        );
        expect(new Set(whose).size).toBe(rows.length);
        for (const { waiting } of rows) {
          const [first] = waiting;
          for (const one of waiting)
            expect([one.basis.tag, sourcesOf(one)]).toEqual([first!.basis.tag, sourcesOf(first!)]);
        }
      }),
    );
  });

  it('stay within the known credits and limits, except the first request of each balance and key', () => {
    fc.assert(
      fc.property(batches, limits, (batch, reach) => {
        const known = new Map(reach);
        const going = gather(batch, reach).rows.flatMap(({ waiting }) => waiting);
        for (const source of new Set(going.flatMap(sourcesOf))) {
          const all = going.filter((one) => sourcesOf(one).includes(source));
          if (all.length > 1) expect(sum(all)).toBeLessThanOrEqual(known.get(source) ?? Infinity);
        }
      }),
    );
  });

  it('and the requests left in the queue are all requests, each once', () => {
    fc.assert(
      fc.property(batches, limits, (batch, reach) => {
        const { rows, later } = gather(batch, reach);
        const all = [...rows.flatMap((row) => row.waiting), ...later];
        expect(all).toHaveLength(batch.length);
        expect(new Set(all)).toEqual(new Set(batch));
      }),
    );
  });

  it('include the oldest request, so that every request makes progress', () => {
    fc.assert(
      fc.property(batches, limits, (batch, reach) => {
        expect(gather(batch, reach).rows[0]?.waiting[0]).toBe(batch[0]);
      }),
    );
  });

  it('are counted against a bounded number of limits, however many keys wait', () => {
    const batch = Array.from({ length: 100 }, (_, n): Charged => {
      const one = waiting({ organization: 'org_a', key: 'key_1', amount: 1, tag: 'unmetered' });
      return { ...one, charge: { amount: 1, limited: { apiKeyId: `key_${n}`, limits: 10 } } };
    });
    const { rows, later } = gather(batch, new Map());
    expect([rows.length, later.length]).toEqual([51, 49]);
  });

  it('forget the known reach of a balance or key when no request waits for it', () => {
    fc.assert(
      fc.property(batches, limits, (batch, reach) => {
        const { rows, later } = gather(batch, reach);
        const waitedFor = new Set(later.flatMap(sourcesOf));
        const gone = rows.flatMap(({ waiting }) => waiting.flatMap(sourcesOf)).filter((one) => !waitedFor.has(one));
        expect(gone.filter((one) => reach.has(one))).toEqual([]);
      }),
    );
  });
});
