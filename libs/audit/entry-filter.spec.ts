import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { encodeEntries, forEachEntry } from '#libs/tlog/entries.js';
import type { StoredFilter } from './audit-filter.js';
import { entryFilter, entrySelection } from './entry-filter.js';

const ADDRESSES = [
  '192.0.2.7',
  '192.0.2.70',
  '192.0.2.0/24',
  '192.0.0.0/16',
  '2001:db8::7',
  '2001:db8::/64',
  '2001:DB8:0::7',
];
const MAPPED = ['::ffff:192.0.2.7', '::ffff:c000:207', '0:0:0:0:0:ffff:192.0.2.7'];
const KEYS = ['key_01m7x8e321e0c9ct382g7f705r', 'key_01m7x8e321e0c9ct382g7f705s'];
const PATHS = ['/v1/agents', '/v1/agents/7', '/v1/größe', '/v1/"ip":"192.0.2.7"'];

const event = fc
  .record({
    type: fc.constantFrom('api_key.used', 'api_key.denied', 'api_key.created'),
    key: fc.constantFrom(...KEYS),
    ip: fc.constantFrom(null, ...ADDRESSES, ...MAPPED),
    path: fc.constantFrom(...PATHS),
    userAgent: fc.constantFrom(null, 'curl/8.5.0', 'größer "ip":"192.0.2.7"'),
    second: fc.nat(9),
  })
  .map(({ type, key, ip, path, userAgent, second }) =>
    Buffer.from(
      JSON.stringify({
        specversion: '1.0',
        id: 'req_01m7x8e2spesabexb98rz8j9vc',
        source: 'https://keys.example.com',
        type,
        time: `2026-11-27T17:20:0${second}.123Z`,
        subject: key,
        datacontenttype: 'application/json',
        data: {
          organization_id: 'org_01m7x8e2jmepwajdepw3q2qspf',
          actor: { type: 'api_key', id: key, ...(second > 5 && { name: 'Longer' }) },
          ip,
          user_agent: userAgent,
          request_id: 'req_01m7x8e2spesabexb98rz8j9vc',
          seq: 7,
          method: 'GET',
          path,
          secret_id: 'secret_01m7x8e321ef0vf5jtqxppnjy4',
          ...(type === 'api_key.denied' ? { code: 'expired', count: 1 } : { cost: 1 }),
        },
      }),
    ),
  );

const optional = <T>(...values: readonly T[]) => fc.constantFrom(undefined, ...values);
const filter: fc.Arbitrary<StoredFilter> = fc.record({
  keyId: optional(...KEYS),
  ip: optional(...ADDRESSES, '192.0.2.9', '2001:db8::/32'),
  path: optional(...PATHS),
  types: optional(['api_key.used'], ['api_key.denied'], ['api_key.*']),
  outcomes: optional(['valid'], ['expired']),
  userAgent: optional('curl', 'GRÖSSER'),
  from: optional('2026-11-27T17:20:04Z'),
});

describe('the selection of entries by their bytes', () => {
  it('leaves out no entry that matches the filter', () => {
    let matching = 0;
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 20 }), filter, (entries, wanted) => {
        const matches = entryFilter(wanted);
        const bundle = encodeEntries(entries);
        const isSelected = entrySelection(wanted)(bundle);
        const leftOut: string[] = [];
        let n = 0;
        forEachEntry(bundle, (start, end) => {
          const entry = entries[n++]!;
          const isMatch = matches(entry);
          if (isMatch) matching += 1;
          if (!isSelected(start, end) && isMatch) leftOut.push(entry.toString());
        });
        expect(leftOut).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
    expect(matching).toBeGreaterThan(100);
  });

  it('selects every entry that has the address, wherever in the entry it stands', () => {
    // A long one is about as long as an entry with short ones.
    const pad = fc.oneof(fc.nat(4), fc.integer({ min: 54, max: 70 })).map((length) => 'x'.repeat(length));
    const entries = fc.array(fc.tuple(pad, fc.constantFrom('192.0.2.7', '192.0.2.8'), pad), { minLength: 2 });
    const isSelectedBy = entrySelection({ ip: '192.0.2.7' });
    fc.assert(
      fc.property(entries, (all) => {
        const bundle = encodeEntries(
          all.map(([before, ip, after]) =>
            Buffer.from(`{"type":"api_key.used","a":"${before}","ip":"${ip}","b":"${after}"}`),
          ),
        );
        const isSelected = isSelectedBy(bundle);
        const selected: boolean[] = [];
        forEachEntry(bundle, (start, end) => selected.push(isSelected(start, end)));
        expect(selected).toEqual(all.map(([, ip]) => ip === '192.0.2.7'));
      }),
      { numRuns: 2_000 },
    );
  });

  it('selects only the entries that have the wanted text or address', () => {
    const [first, second] = KEYS;
    const entries = [first, second, first].map((key, n) =>
      Buffer.from(`{"type":"api_key.used","subject":"${key}","data":{"ip":${n === 2 ? 'null' : `"192.0.2.${n}"`}}}`),
    );
    const bundle = encodeEntries(entries);
    const selectedBy = (wanted: StoredFilter) => {
      const isSelected = entrySelection(wanted)(bundle);
      const selected: boolean[] = [];
      forEachEntry(bundle, (start, end) => selected.push(isSelected(start, end)));
      return selected;
    };
    expect(selectedBy({})).toEqual([true, true, true]);
    expect(selectedBy({ keyId: first })).toEqual([true, false, true]);
    expect(selectedBy({ ip: '192.0.2.1' })).toEqual([false, true, false]);
    expect(selectedBy({ ip: '192.0.2.0/24' })).toEqual([true, true, false]);
    expect(selectedBy({ types: ['api_key.denied'] })).toEqual([false, false, false]);
  });
});
