import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Network } from '#libs/contract/networks.js';
import type { AuditColumns } from './audit-columns.js';
import { Terms, termsOf } from './terms.js';

const ORGANIZATION = '01900000-0000-7000-8000-000000000001';
const use: AuditColumns = {
  type: 'api_key.used',
  keyId: null,
  projectId: null,
  actorId: null,
  subject: null,
  outcome: 'valid',
  ip: null,
  path: null,
  secretIds: [],
  verifierIds: [],
  requestIds: [],
};

const group = fc.oneof(fc.constantFrom(0, 1, 0xffff), fc.nat(0xffff)).map((bits) => bits.toString(16));
const ipv6 = fc.array(group, { minLength: 8, maxLength: 8 }).map((groups) => groups.join(':'));

it('a bundle is found by any of its addresses and by the network of it, in each notation', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), ipv6, fc.ipV6()), (written) => {
      const ip = Network.safeParse(written).data;
      fc.pre(ip !== undefined);
      const terms = new Terms(ORGANIZATION);
      terms.add({ ...use, ip });
      const stored = new Set(terms.encode().terms);
      const network = Network.parse(`${ip}/${ip.includes(':') ? 48 : 24}`);
      for (const searched of [ip, network]) {
        const lists = termsOf(ORGANIZATION, { ip: searched })!;
        expect(lists.length).toBeGreaterThan(0);
        for (const list of lists) expect(list.some((term) => stored.has(term))).toBe(true);
      }
    }),
    { numRuns: 1_000 },
  );
});

const segment = fc.oneof(
  fc.constantFrom('v1', 'agents', '7', '', 'a;b=c', 'größe'),
  // The longest that is no id: three of them are nearly the longest path that is kept whole.
  fc.integer({ min: 62, max: 65 }).map((length) => 'g'.repeat(length)),
);

it('a bundle is found by the beginning of any of its paths, however long they are', () => {
  let withTerm = 0;
  fc.assert(
    fc.property(
      fc.constantFrom('', '/'),
      fc.array(segment, { maxLength: 6 }),
      fc.nat(400),
      (root, segments, length) => {
        const path = root + segments.join('/');
        const terms = new Terms(ORGANIZATION);
        terms.add({ ...use, path });
        const stored = new Set(terms.encode().terms);
        for (const list of termsOf(ORGANIZATION, { path: path.slice(0, length) })!) {
          withTerm += 1;
          expect(list.some((term) => stored.has(term))).toBe(true);
        }
      },
    ),
    { numRuns: 5_000 },
  );
  expect(withTerm).toBeGreaterThan(1_000);
});
