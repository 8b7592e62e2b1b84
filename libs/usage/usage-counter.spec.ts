import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import type { EventEnvelope } from '#libs/contract/events.js';
import { countByHour, countByKey, endpointKey, foldOthers, lastUses, readTally } from './usage-counter.js';

const org = 'org_01m7x8e2jmepwajdepw3q2qspf';
const project = 'proj_01m7x8e2jmepwajdepw3q2qspg';
const key = 'key_01m7x8e321e0c9ct382g7f705r';
const other = 'key_01m7x8e321e0c9ct382g7f705s';

function received(type: string, subject: string, time: string, data: object = {}) {
  const envelope = {
    specversion: '1.0',
    id: '01a1fa87-0cbf-7692-980d-109b3f69b0a6',
    source: 'x',
    type,
    time,
    subject,
    datacontenttype: 'application/json',
    data: {
      organization_id: org,
      actor: { type: 'anonymous', id: null },
      ip: null,
      user_agent: null,
      request_id: 'r',
      seq: 0,
      method: null,
      path: null,
      scopes: [],
      ...data,
    },
  } as EventEnvelope;
  return { envelope };
}

const used = (subject: string, time: string, data: object = {}) =>
  received('api_key.used', subject, time, { secret_id: 'secret_01m7x8e321ef0vf5jtqxppnjy4', cost: 1, ...data });
const denied = (subject: string, time: string, count: number, data: object = {}) =>
  received('api_key.denied', subject, time, { code: 'expired', count, ...data });

const talliesOf = (event: ReturnType<typeof received>) => [readTally(event)].filter((tally) => tally !== undefined);

it('uses and denials are counted for each key, with the time of the last, in any order of arrival', () => {
  const tallies = [
    used(other, '2026-11-20T10:00:05.000Z'),
    used(key, '2026-11-20T10:00:02.000Z'),
    used(key, '2026-11-20T10:00:01.000Z'),
    denied(key, '2026-11-20T10:00:03.000Z', 15),
    denied(key, '2026-11-20T10:00:04.000Z', 1),
    received('api_key.rotated', other, '2026-11-20T10:00:06.000Z'),
  ].flatMap(talliesOf);
  expect(countByKey(tallies)).toEqual([
    [key, { uses: 2, denials: 16, lastUsedAt: '2026-11-20T10:00:02.000Z', lastDeniedAt: '2026-11-20T10:00:04.000Z' }],
    [other, { uses: 1, denials: 0, lastUsedAt: '2026-11-20T10:00:05.000Z', lastDeniedAt: null }],
  ]);
});

it("requests to Keyledger's own API are counted separately, and update the last use or denial of the key", () => {
  const surface = 'management';
  const request = { method: 'GET', path: '/orders' };
  const tallies = [
    used(key, '2026-11-20T10:00:01.000Z', request),
    used(key, '2026-11-20T10:00:02.000Z', { ...request, surface }),
    denied(key, '2026-11-20T10:00:03.000Z', 4, { ...request, surface }),
  ].flatMap(talliesOf);
  expect(countByKey(tallies)).toEqual([
    [key, { uses: 1, denials: 0, lastUsedAt: '2026-11-20T10:00:02.000Z', lastDeniedAt: '2026-11-20T10:00:03.000Z' }],
  ]);
  expect(countByHour(tallies).map(({ outcome, management, count }) => [outcome, management, count])).toEqual([
    ['expired', true, 4],
    ['valid', false, 1],
    ['valid', true, 1],
  ]);
});

it('the last use of each secret is kept in any order of arrival; a public key alone updates none', () => {
  const [older, newer] = ['secret_01m7x8e321ef0vf5jtqxppnjy4', 'secret_01m7x8e321ef0vf5jtqxppnjy5'];
  const tallies = [
    used(key, '2026-11-20T10:00:05.000Z', { secret_id: newer }),
    used(key, '2026-11-20T10:00:02.000Z', { secret_id: older }),
    used(key, '2026-11-20T10:00:01.000Z', { secret_id: older }),
    used(key, '2026-11-20T10:00:09.000Z', { secret_id: undefined }),
    denied(key, '2026-11-20T10:00:08.000Z', 1),
  ].flatMap(talliesOf);
  expect(lastUses(tallies)).toEqual([
    [older, '2026-11-20T10:00:02.000Z'],
    [newer, '2026-11-20T10:00:05.000Z'],
  ]);
});

it('a denial with a code that this worker does not know is counted under its code', () => {
  const [tally] = talliesOf(
    denied(key, '2026-11-20T10:00:00.000Z', 3, { code: 'not_on_a_sunday', more: { of: 'it' } }),
  );
  expect(tally).toMatchObject({ apiKeyId: key, outcome: 'not_on_a_sunday', count: 3 });
});

it('each hour of a key is counted by outcome and by endpoint, with the cost of the uses', () => {
  const request = { method: 'GET', path: '/orders/7', project_id: project };
  const counts = countByHour(
    [
      denied(key, '2026-11-20T11:00:00.000Z', 15, request),
      used(key, '2026-11-20T10:59:59.999Z', { ...request, cost: 3 }),
      used(key, '2026-11-20T10:00:00.000Z', { ...request, path: '/orders/8', cost: 0 }),
      used(key, '2026-11-20T11:00:00.000Z', request),
      used(other, '2026-11-20T10:30:00.000Z'),
    ].flatMap(talliesOf),
  );
  const ofKey = {
    apiKeyId: key,
    organizationId: org,
    projectId: project,
    management: false,
    endpoint: 'GET /orders/:id',
  };
  expect(counts).toEqual([
    { ...ofKey, hour: '2026-11-20T10:00:00Z', outcome: 'valid', count: 2, credits: 3 },
    { ...ofKey, hour: '2026-11-20T11:00:00Z', outcome: 'expired', count: 15, credits: 0 },
    { ...ofKey, hour: '2026-11-20T11:00:00Z', outcome: 'valid', count: 1, credits: 1 },
    {
      apiKeyId: other,
      organizationId: org,
      projectId: null,
      management: false,
      endpoint: '(none)',
      hour: '2026-11-20T10:00:00Z',
      outcome: 'valid',
      count: 1,
      credits: 1,
    },
  ]);
});

it('a use without a valid key id is reported as a fault of its entry', () => {
  expect(() => readTally(used('sk_live_1', '2026-11-20T10:00:00.000Z'))).toThrow(z.ZodError);
});

describe('any events in any batches', () => {
  const event = fc
    .record({
      subject: fc.constantFrom(key, other),
      time: fc
        .date({ min: new Date('2026-11-20T00:00:00Z'), max: new Date('2026-11-20T03:00:00Z'), noInvalidDate: true })
        .map((date) => date.toISOString()),
      endpoint: fc.record({
        method: fc.constantFrom('GET', 'POST', null),
        path: fc.constantFrom('/a', '/a/1', '/a/2', '/b', null),
      }),
      surface: fc.constantFrom({}, { surface: 'management' }),
      refused: fc.option(fc.record({ code: fc.constantFrom('expired', 'revoked'), count: fc.integer({ min: 1 }) })),
      cost: fc.nat(1_000),
    })
    .map(({ subject, time, endpoint, surface, refused, cost }) =>
      refused
        ? denied(subject, time, refused.count, { ...endpoint, ...surface, code: refused.code })
        : used(subject, time, { ...endpoint, ...surface, cost }),
    );
  const batches = fc.array(fc.array(event, { maxLength: 20 }), { maxLength: 8 });
  const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);

  it('are counted exactly once', () => {
    fc.assert(
      fc.property(batches, fc.nat(6), (batches, room) => {
        const tallies = batches.flat().flatMap(talliesOf);
        const all = countByHour(tallies);
        const others = new Set(all.map(endpointKey).slice(room));
        const folded = foldOthers(all, others);
        for (const counts of [all, folded]) {
          for (const [apiKeyId, totals] of countByKey(tallies)) {
            const own = counts.filter((count) => count.apiKeyId === apiKeyId && !count.management);
            const isUse = ({ outcome }: { outcome: string }) => outcome === 'valid';
            expect(sum(own.filter(isUse).map(({ count }) => count))).toBe(totals.uses);
            expect(sum(own.filter((count) => !isUse(count)).map(({ count }) => count))).toBe(totals.denials);
          }
          expect(sum(counts.map(({ credits }) => credits))).toBe(
            sum(batches.flat().map(({ envelope }) => Number(envelope.data['cost'] ?? 0))),
          );
        }
        expect(folded.filter((count) => others.has(endpointKey(count)))).toEqual([]);
      }),
    );
  });

  it('have the same counts as all events in one batch, with one row for each place', () => {
    fc.assert(
      fc.property(batches, (batches) => {
        const place = ({ count: _, credits: __, ...rest }: { count: number; credits: number }) => JSON.stringify(rest);
        const one = countByHour(batches.flat().flatMap(talliesOf));
        const many = batches.flatMap((batch) => countByHour(batch.flatMap(talliesOf)));
        const summed = Map.groupBy(many, place);
        expect(new Set(one.map(place)).size).toBe(one.length);
        expect(
          new Map(
            [...summed].map(([at, counts]) => [
              at,
              [sum(counts.map(({ count }) => count)), sum(counts.map(({ credits }) => credits))],
            ]),
          ),
        ).toEqual(new Map(one.map((count) => [place(count), [count.count, count.credits]])));
        expect(one.map(({ apiKeyId }) => apiKeyId)).toEqual(one.map(({ apiKeyId }) => apiKeyId).toSorted());
      }),
    );
  });
});
