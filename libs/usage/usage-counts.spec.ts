import { expect, it, describe } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import type { EventEnvelope } from '#libs/contract/events.js';
import { Denied, readCounted, Used, type CountedEvent } from './counted-event.js';
import { endpointsAfter, FIRST_ENDPOINTS, Places, UsageCounts } from './usage-counts.js';

const org = 'org_01m7x8e2jmepwajdepw3q2qspf';
const project = 'proj_01m7x8e2jmepwajdepw3q2qspg';
const key = 'key_01m7x8e321e0c9ct382g7f705r';
const other = 'key_01m7x8e321e0c9ct382g7f705s';
const secret = 'secret_01m7x8e321ef0vf5jtqxppnjy4';

function received(type: string, subject: string, time: string, data: object = {}): EventEnvelope {
  return {
    specversion: '1.0',
    id: '01a1fa87-0cbf-7692-980d-109b3f69b0a6',
    source: 'x',
    type,
    time,
    subject,
    datacontenttype: 'application/json',
    data: { organization_id: org, actor: { type: 'anonymous', id: null }, method: null, path: null, ...data },
  };
}

const used = (subject: string, time: string, data: object = {}) =>
  received('api_key.used', subject, time, { secret_id: secret, cost: 1, ...data });
const denied = (subject: string, time: string, count: number, data: object = {}) =>
  received('api_key.denied', subject, time, { code: 'expired', count, ...data });

/** The rows of a key after some transactions of the worker, each with a part of its events. */
class Stored {
  readonly #endpoints = new Map<string, readonly string[]>();
  readonly #hours = new Map<string, Record<string, [count: number, credits: number]>>();
  readonly #totals = new Map<string, object>();

  write(events: readonly EventEnvelope[], isWhole = false): void {
    const counts = new UsageCounts(isWhole);
    for (const event of events) for (const counted of countedOf(event)) counts.add(counted);
    for (const { surfaces, apiKeyId, ...totals } of counts.keys()) {
      const { uses, denials, lastUsedAt, lastDeniedAt } = totals;
      this.#totals.set(apiKeyId, { uses, denials, lastUsedAt, lastDeniedAt });
      for (const surface of surfaces) {
        const name = `${apiKeyId}${surface.management ? ' management' : ''}`;
        const known = this.#endpoints.get(name) ?? FIRST_ENDPOINTS;
        const endpoints = endpointsAfter(known, surface);
        this.#endpoints.set(name, endpoints);
        const places = new Places(endpoints, known.length);
        for (const hour of surface.hours.values()) {
          const place = `${name} ${hour.hour} ${hour.outcome}`;
          const row = this.#hours.get(place) ?? {};
          const { counts: added, credits } = places.place(hour);
          for (const [n, count] of added.entries()) {
            const [before, creditsBefore] = row[endpoints[n]!] ?? [0, 0];
            if (count > 0) row[endpoints[n]!] = [before + count, creditsBefore + credits[n]!];
          }
          this.#hours.set(place, row);
        }
      }
    }
  }

  get totals() {
    return Object.fromEntries(this.#totals);
  }

  get hours() {
    return Object.fromEntries(this.#hours);
  }

  get endpoints() {
    return Object.fromEntries(this.#endpoints);
  }
}

function countedOf(event: EventEnvelope): CountedEvent[] {
  const counted = readCounted(event);
  return counted ? [counted] : [];
}

function stored(...events: EventEnvelope[]): Stored {
  const rows = new Stored();
  rows.write(events);
  return rows;
}

it('uses and denials are counted for each key, with the time of the last, in any order of arrival', () => {
  const { totals } = stored(
    used(other, '2026-11-20T10:00:05.000Z'),
    used(key, '2026-11-20T10:00:02.000Z'),
    used(key, '2026-11-20T10:00:01.000Z'),
    denied(key, '2026-11-20T10:00:03.000Z', 15),
    denied(key, '2026-11-20T10:00:04.000Z', 1),
    received('api_key.rotated', other, '2026-11-20T10:00:06.000Z'),
  );
  expect(totals).toEqual({
    [key]: { uses: 2, denials: 16, lastUsedAt: '2026-11-20T10:00:02.000Z', lastDeniedAt: '2026-11-20T10:00:04.000Z' },
    [other]: { uses: 1, denials: 0, lastUsedAt: '2026-11-20T10:00:05.000Z', lastDeniedAt: null },
  });
});

it("requests to Keyledger's own API are counted separately, and update the last use or denial of the key", () => {
  const surface = 'management';
  const request = { method: 'GET', path: '/orders' };
  const { totals, hours } = stored(
    used(key, '2026-11-20T10:00:01.000Z', request),
    used(key, '2026-11-20T10:00:02.000Z', { ...request, surface }),
    denied(key, '2026-11-20T10:00:03.000Z', 4, { ...request, surface }),
  );
  expect(totals[key]).toEqual({
    uses: 1,
    denials: 0,
    lastUsedAt: '2026-11-20T10:00:02.000Z',
    lastDeniedAt: '2026-11-20T10:00:03.000Z',
  });
  expect(hours).toEqual({
    [`${key} 2026-11-20T10 valid`]: { 'GET /orders': [1, 1] },
    [`${key} management 2026-11-20T10 valid`]: { 'GET /orders': [1, 1] },
    [`${key} management 2026-11-20T10 expired`]: { 'GET /orders': [4, 0] },
  });
});

it('the last use of each secret is kept in any order of arrival; a public key alone updates none', () => {
  const newer = 'secret_01m7x8e321ef0vf5jtqxppnjy5';
  const counts = new UsageCounts();
  for (const event of [
    used(key, '2026-11-20T10:00:05.000Z', { secret_id: newer }),
    used(key, '2026-11-20T10:00:02.000Z'),
    used(key, '2026-11-20T10:00:01.000Z'),
    used(key, '2026-11-20T10:00:09.000Z', { secret_id: undefined }),
    denied(key, '2026-11-20T10:00:08.000Z', 1),
  ]) {
    counts.add(readCounted(event)!);
  }
  expect(Object.fromEntries(counts.keys()[0]!.secrets)).toEqual({
    [secret]: '2026-11-20T10:00:02.000Z',
    [newer]: '2026-11-20T10:00:05.000Z',
  });
});

it('a denial with a code that this worker does not know is counted under its code', () => {
  const counted = readCounted(
    denied(key, '2026-11-20T10:00:00.000Z', 3, { code: 'not_on_a_sunday', more: { of: 'it' } }),
  );
  expect(counted).toMatchObject({ apiKeyId: key, outcome: 'not_on_a_sunday', count: 3 });
});

it('each hour of a key is counted by outcome and by endpoint, with the cost of the uses', () => {
  const request = { method: 'GET', path: '/orders/7', project_id: project };
  const { hours } = stored(
    used(key, '2026-11-20T10:59:59.999Z', { ...request, cost: 3 }),
    denied(key, '2026-11-20T11:00:00.000Z', 15, request),
    used(key, '2026-11-20T10:00:00.000Z', { ...request, path: '/orders/8', cost: 0 }),
    used(key, '2026-11-20T11:00:00.000Z', request),
    used(other, '2026-11-20T10:30:00.000Z'),
  );
  expect(hours).toEqual({
    [`${key} 2026-11-20T10 valid`]: { 'GET /orders/:id': [2, 3] },
    [`${key} 2026-11-20T11 valid`]: { 'GET /orders/:id': [1, 1] },
    [`${key} 2026-11-20T11 expired`]: { 'GET /orders/:id': [15, 0] },
    [`${other} 2026-11-20T10 valid`]: { '(none)': [1, 1] },
  });
});

it('a denial is counted at an endpoint that the key had used before, and otherwise with all others', () => {
  const at = '2026-11-20T10:00:00.000Z';
  const [known, unknown] = [
    { method: 'GET', path: '/known' },
    { method: 'GET', path: '/unknown' },
  ];
  const rows = stored(denied(key, at, 1, known), denied(key, at, 2, unknown), used(key, at, known));
  rows.write([denied(key, at, 4, known), denied(key, at, 8, unknown), denied(key, at, 16, { summary: true })]);
  expect(rows.hours[`${key} 2026-11-20T10 expired`]).toEqual({ 'GET /known': [4, 0], '(other)': [27, 0] });
});

it('a hundred endpoints of a key are counted separately on each surface, and further ones together', () => {
  const at = '2026-11-20T10:00:00.000Z';
  const surface = 'management';
  const paths = Array.from({ length: 130 }, (_, n) => ({ method: 'GET', path: `/page-${n}` }));
  const rows = stored(...paths.slice(0, 60).flatMap((path) => [used(key, at, path), used(key, at, path)]));
  rows.write([...paths.map((path) => used(key, at, path)), used(key, at, { ...paths[120], surface })]);
  expect(rows.endpoints[key]).toHaveLength(102);
  expect(rows.hours[`${key} 2026-11-20T10 valid`]).toMatchObject({
    [`GET ${paths[59]!.path}`]: [3, 3],
    [`GET ${paths[99]!.path}`]: [1, 1],
    '(other)': [30, 30],
  });
  expect(rows.hours[`${key} management 2026-11-20T10 valid`]).toEqual({ [`GET ${paths[120]!.path}`]: [1, 1] });
});

it('the memory of all counts of a key is bounded for each hour, however many endpoints its requests have', () => {
  const counts = new UsageCounts(true);
  for (let n = 0; n < 2_000; n++) {
    const request = { method: 'GET', path: `/page-${n}` };
    counts.add(readCounted(used(key, '2026-11-20T10:00:00.000Z', request))!);
    counts.add(readCounted(denied(key, '2026-11-20T10:00:00.000Z', 1, { ...request, path: `/denied-${n}` }))!);
  }
  expect(counts.bytes).toBeLessThan(25_000);
  counts.remove(counts.keys()[0]!);
  expect(counts.bytes).toBe(0);
});

it('a use without a valid key id is reported as a fault of its entry', () => {
  expect(() => readCounted(used('sk_live_1', '2026-11-20T10:00:00.000Z'))).toThrow(z.ZodError);
});

it('the check of an event’s fields agrees with their schemas', () => {
  const id = fc.constantFrom(key, project, secret, org, 'key_x', 'KEY_01m7x8e321e0c9ct382g7f705r');
  const odd = fc.oneof(id, fc.constantFrom<unknown>(undefined, null, true, '', {}, [], 'x'.repeat(101), Number.NaN));
  const number = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(2 ** 53, 2 ** 53 - 1, -0), odd);
  const text = fc.oneof(fc.string({ maxLength: 101 }), odd);
  const fields = fc.record(
    {
      project_id: odd,
      surface: odd,
      method: text,
      path: text,
      summary: odd,
      cost: number,
      secret_id: odd,
      code: text,
      count: number,
    },
    { requiredKeys: [] },
  );
  const changed = fc.record({ subject: fc.oneof(fc.constant(key), id), fields, type: fc.boolean() });
  fc.assert(
    fc.property(
      changed,
      fc.subarray(['project_id', 'surface', 'method', 'path', 'summary', 'cost', 'secret_id', 'code', 'count']),
      ({ subject, fields, type }, kept) => {
        // Most fields stay valid, so that many events are.
        const data = Object.fromEntries(Object.entries(fields).filter(([name]) => kept.includes(name)));
        const event = (type ? used : (...args: [string, string, object]) => denied(args[0], args[1], 1, args[2]))(
          subject,
          '2026-11-20T10:00:00.000Z',
          data,
        );
        const { success } = (type ? Used : Denied).safeParse(event);
        let read = true;
        try {
          readCounted(event);
        } catch (error) {
          if (!(error instanceof z.ZodError)) throw error;
          read = false;
        }
        expect(read).toBe(success);
      },
    ),
    { numRuns: 2_000 },
  );
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
        path: fc.oneof(
          fc.constantFrom('/a', '/a/1', '/a/2', '/b', null),
          fc.nat(150).map((n) => `/page-${n}`),
        ),
      }),
      surface: fc.constantFrom({}, { surface: 'management' }),
      refused: fc.option(fc.record({ code: fc.constantFrom('expired', 'revoked'), count: fc.integer({ min: 1 }) })),
      cost: fc.nat(1_000),
    })
    .map(({ subject, time, endpoint, surface, refused, cost }) =>
      refused
        ? denied(subject, time, refused.count % 1_000_000, { ...endpoint, ...surface, code: refused.code })
        : used(subject, time, { ...endpoint, ...surface, cost }),
    );
  const batches = fc.array(fc.array(event, { maxLength: 40 }), { maxLength: 12 });
  const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);

  it('are counted exactly once', () => {
    fc.assert(
      fc.property(batches, (batches) => {
        const rows = new Stored();
        for (const batch of batches) rows.write(batch);
        const all = batches.flat().map((one) => readCounted(one)!);
        for (const which of ['uses', 'denials'] as const) {
          const isWhich = (outcome: string) => (outcome === 'valid') === (which === 'uses');
          const counted = Object.entries(rows.hours)
            .filter(([place]) => isWhich(place.split(' ').at(-1)!))
            .flatMap(([, row]) => Object.values(row));
          const own = all.filter(({ outcome }) => isWhich(outcome));
          expect(sum(counted.map(([count]) => count))).toBe(sum(own.map(({ count }) => count)));
          expect(sum(counted.map(([, credits]) => credits))).toBe(sum(own.map(({ credits }) => credits)));
        }
      }),
    );
  });

  it('have the same counts as all events in one batch', () => {
    fc.assert(
      fc.property(batches, (batches) => {
        const [many, one, whole] = [new Stored(), new Stored(), new Stored()];
        for (const batch of batches) many.write(batch);
        one.write(batches.flat());
        whole.write(batches.flat(), true);
        for (const rows of [one, whole]) {
          expect(rows.hours).toEqual(many.hours);
          expect(rows.endpoints).toEqual(many.endpoints);
        }
      }),
    );
  });
});
