import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DenialWindows, type Denial, type DenialEvent } from './denial-windows.js';

const MINUTE_MS = 60_000;
const START = Date.parse('2026-11-20T10:58:30.000Z');

interface Happened {
  readonly denial: Denial;
  readonly at: number;
}

function denial(
  said: Partial<Omit<Denial, 'key'>> & { key?: string; organization?: string; path?: string; ip?: string },
) {
  const { key = 'key_1', organization = 'org_1', path = '/orders', ip = '192.0.2.1', ...rest } = said;
  return {
    key: { apiKeyId: key, organizationId: organization, projectId: null, shard: 0 },
    seq: 1,
    code: 'expired',
    actor: { type: 'api_key', id: key },
    scopes: [],
    details: { method: 'GET', path },
    from: { ip, userAgent: null, requestId: 'req_1' },
    verifiedBy: undefined,
    ...rest,
  } satisfies Denial;
}

/** Feeds the denials to the windows, closes expired windows before each denial, and closes all windows at the end. */
function run(happened: readonly Happened[], windows = new DenialWindows(), mayRecord = true): DenialEvent[] {
  const events = happened.flatMap(({ denial, at }) => [
    ...windows.close(at),
    ...windows.add(denial, new Date(at), mayRecord).events,
  ]);
  return [...events, ...windows.close(Infinity)];
}

const isSummary = ({ callers }: DenialEvent) => callers !== undefined;
const total = (events: readonly DenialEvent[]) => events.reduce((sum, { count }) => sum + count, 0);

/** Everything that the event of one denial states, except its request and its time. */
const statedOf = ({ key, code, actor, scopes, details, from, verifiedBy }: Denial) =>
  JSON.stringify([key, code, actor, scopes, details, from.ip, from.userAgent, verifiedBy]);
/** Everything that a summary states. */
const kindOf = ({ key, code, actor, details }: Denial) => JSON.stringify([key, code, actor, details.surface]);

describe('sixty denials', () => {
  it('from sixty addresses on sixty paths have no event that names a path or an address for more than one of them', () => {
    const sixty = Array.from({ length: 60 }, (_, n) => ({
      denial: denial({ path: `/customers/${n}`, ip: `192.0.2.${n}` }),
      at: START + n * 100,
    }));
    const events = run(sixty);
    expect(events).toHaveLength(21);
    expect(events.slice(0, 20).map(({ count, denial: { details } }) => [count, details.path])).toEqual(
      sixty.slice(0, 20).map(({ denial: { details } }) => [1, details.path]),
    );
    expect(events[20]).toEqual({
      denial: expect.objectContaining({
        details: { method: null, path: null },
        from: { ip: null, userAgent: null, requestId: null },
      }),
      count: 40,
      firstAt: new Date(sixty[20]!.at),
      lastAt: new Date(sixty[59]!.at),
      callers: [],
    });
  });

  it('that are equal become ten events and one event that counts the rest', () => {
    const events = run(Array.from({ length: 60 }, (_, n) => ({ denial: denial({}), at: START + n })));
    expect(events.map(({ count }) => count)).toEqual([...Array.from({ length: 10 }, () => 1), 50]);
    expect(events[10]).toMatchObject({ denial: { details: { path: '/orders' } }, firstAt: new Date(START + 10) });
  });

  it.each([
    ['code', { code: 'disabled' }],
    ['method', { details: { method: 'POST', path: '/orders' } }],
    ['path', { path: '/carts' }],
    ['address', { ip: '192.0.2.2' }],
    ['user agent', { from: { ip: '192.0.2.1', userAgent: 'curl', requestId: 'req_1' } }],
    ['scopes', { scopes: ['a:read'] }],
    ['half of the key', { details: { method: 'GET', path: '/orders', credential: 'public_key', origin: null } }],
    ['page', { details: { method: 'GET', path: '/orders', credential: 'public_key', origin: 'https://a.test' } }],
    ['surface', { details: { surface: 'management', method: 'GET', path: '/orders' } }],
    ['key that asked', { verifiedBy: { type: 'api_key', id: 'key_9', secret_id: 'secret_9' } }],
    ['actor', { actor: { type: 'anonymous', id: null } }],
  ] as [string, Parameters<typeof denial>[0]][])('that differ in the %s share no event', (_, other) => {
    const both = Array.from({ length: 60 }, (_, n) => ({ denial: denial(n % 2 ? other : {}), at: START + n }));
    expect(
      run(both)
        .slice(10)
        .map(({ count }) => count),
    ).toEqual([25, 25]);
  });
});

const paths = ['/a', '/b', '/c', '/d', '/e', '/f', '/g'];
const verifiers = [
  undefined,
  ...Array.from({ length: 3 }, (_, n) => ({ type: 'api_key' as const, id: `key_9${n}`, secret_id: `secret_${n}` })),
  { type: 'user' as const, id: 'user_1' },
];
const happened = fc
  .array(
    fc.record({
      key: fc.constantFrom('key_1', 'key_2', 'key_3'),
      code: fc.constantFrom('expired' as const, 'insufficient_scope' as const, 'invalid_key' as const),
      surface: fc.constantFrom({}, { surface: 'management' as const }),
      method: fc.constantFrom('GET', 'POST'),
      path: fc.constantFrom(...paths),
      ip: fc.constantFrom('192.0.2.1', '192.0.2.2', null),
      scopes: fc.constantFrom([], ['a:read']),
      verifiedBy: fc.constantFrom(...verifiers),
      seq: fc.nat(5),
      // A clock may go back a little.
      pause: fc.oneof(
        { weight: 9, arbitrary: fc.nat(2_000) },
        { weight: 1, arbitrary: fc.integer({ min: -500, max: 90_000 }) },
      ),
    }),
    { maxLength: 300 },
  )
  .map((all) => {
    let at = START;
    return all.map(({ key, code, surface, method, path, ip, scopes, verifiedBy, seq, pause }): Happened => {
      at += pause;
      return {
        at,
        denial: denial({
          key,
          code,
          seq,
          scopes,
          verifiedBy,
          actor: code === 'invalid_key' ? { type: 'anonymous', id: null } : { type: 'api_key', id: key },
          details: { ...surface, method, path },
          from: { ip, userAgent: null, requestId: `req_${at}` },
        }),
      };
    });
  });
/** Bounds from ample to nearly none. */
const bounds = fc.record({
  windows: fc.integer({ min: 1, max: 5 }),
  windowsOfOrganization: fc.integer({ min: 1, max: 5 }),
  bytes: fc.constantFrom(0, 2_000, 1_000_000),
  bytesOfOrganization: fc.constantFrom(0, 1_000, 1_000_000),
});

describe('denials in any order and under any bounds', () => {
  it('are each counted in exactly one event, whose fields hold for all denials that it counts', () => {
    fc.assert(
      fc.property(happened, bounds, fc.boolean(), (all, bounds, mayRecord) => {
        const events = run(all, new DenialWindows(bounds), mayRecord);
        expect(total(events)).toBe(all.length);
        const left = Map.groupBy(all, ({ denial }) => statedOf(denial));
        // Events of equal denials first: each accounts for denials that it may count.
        for (const event of events.filter((event) => !isSummary(event))) {
          const alike = left.get(statedOf(event.denial)) ?? [];
          const within = alike.filter(({ at }) => at >= event.firstAt.getTime() && at <= event.lastAt.getTime());
          expect(within.length).toBeGreaterThanOrEqual(event.count);
          expect(alike.some(({ at }) => at === event.firstAt.getTime())).toBe(true);
          expect(alike.some(({ at }) => at === event.lastAt.getTime())).toBe(true);
        }
        const like = (one: Happened[], events: DenialEvent[]) => one.length - total(events);
        const byStated = Map.groupBy(
          events.filter((event) => !isSummary(event)),
          ({ denial }) => statedOf(denial),
        );
        for (const [stated, own] of byStated) expect(like(left.get(stated) ?? [], own)).toBeGreaterThanOrEqual(0);
        // Summaries account for the rest, kind by kind.
        const kinds = Map.groupBy(all, ({ denial }) => kindOf(denial));
        for (const [kind, own] of kinds) {
          expect(total(events.filter(({ denial }) => kindOf(denial) === kind))).toBe(own.length);
        }
        for (const { denial, callers = [], count } of events.filter(isSummary)) {
          expect([denial.details.method, denial.details.path, denial.from.ip, denial.verifiedBy]).toEqual([
            null,
            null,
            null,
            undefined,
          ]);
          expect(callers.reduce((sum, caller) => sum + caller.count, 0)).toBeLessThanOrEqual(count);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('are counted for each verifying key, unless there are too many keys', () => {
    fc.assert(
      fc.property(happened, fc.boolean(), (all, mayRecord) => {
        const asked = new Map<string, number>();
        for (const event of run(all, new DenialWindows(), mayRecord)) {
          const own = event.denial.verifiedBy ? [{ ...event.denial.verifiedBy, count: event.count }] : [];
          for (const { id, count } of event.callers ?? own) asked.set(id!, (asked.get(id!) ?? 0) + count);
        }
        const by = Map.groupBy(all, ({ denial }) => denial.verifiedBy?.id);
        expect(asked).toEqual(new Map([...by].flatMap(([id, own]) => (id ? [[id, own.length]] : []))));
      }),
    );
  });

  it('have events that span a minute at most and never cross an hour, so that hourly counts are right', () => {
    const forward = happened.map((all) => all.toSorted((a, b) => a.at - b.at));
    fc.assert(
      fc.property(forward, (all) => {
        for (const { firstAt, lastAt } of run(all)) {
          expect(lastAt.toISOString().slice(0, 13)).toBe(firstAt.toISOString().slice(0, 13));
          expect(lastAt.getTime() - firstAt.getTime()).toBeLessThan(MINUTE_MS);
        }
      }),
    );
  });

  it('have a bounded number of events for each key and minute', () => {
    fc.assert(
      fc.property(happened, (all) => {
        const oneKey = all.map(({ denial: { key: _, ...said } }, n) => ({ denial: denial(said), at: START + n }));
        // Three codes on two surfaces.
        expect(run(oneKey).length).toBeLessThanOrEqual(10 + 10 + 6);
      }),
    );
  });
});

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function memoryInUse(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

describe('a flood of one organization', () => {
  const flood = (windows: DenialWindows, keys: number, each: number) => {
    let events: DenialEvent[] = [];
    for (let n = 0; n < keys * each; n++) {
      const said = { organization: 'flooder', key: `key_${n % keys}`, path: `/${'x'.repeat(1_900)}${n}` };
      events = [...windows.add(denial(said), new Date(START), true).events, ...events];
    }
    return events;
  };
  const others = () =>
    Array.from({ length: 15 }, () => ({ denial: denial({ organization: 'quiet', key: 'key_q' }), at: START }));

  it('does not close the denial windows of another organization, nor reduce their details', () => {
    const windows = new DenialWindows({
      windows: 20,
      windowsOfOrganization: 10,
      bytes: 200_000,
      bytesOfOrganization: 100_000,
    });
    const first = others().flatMap(({ denial }) => windows.add(denial, new Date(START), true).events);
    expect(first).toHaveLength(10);
    const flooded = flood(windows, 50, 30);
    expect(flooded.every(({ denial }) => denial.key.organizationId === 'flooder')).toBe(true);
    const second = others().map(({ denial }) => windows.add(denial, new Date(START), true));
    expect(second.every(({ isFolded }) => isFolded)).toBe(true);
    const rest = windows.close(Infinity);
    expect(rest.filter(({ denial }) => denial.key.organizationId === 'quiet')).toMatchObject([
      { count: 20, denial: { details: { path: '/orders' } } },
    ]);
    expect(total([...first, ...flooded, ...rest])).toBe(30 + 1_500);
  });

  it('takes linear time and bounded memory', () => {
    const windows = new DenialWindows();
    const before = memoryInUse();
    const started = process.cpuUsage();
    let counted = 0;
    for (let n = 0; n < 50_000; n++) {
      const said = { organization: `org_${n % 3}`, key: `key_${n % 30_000}`, path: `/${'x'.repeat(500)}${n}` };
      counted += total(windows.add(denial(said), new Date(START), false).events);
    }
    const { user, system } = process.cpuUsage(started);
    // They take about a second.
    expect(user + system).toBeLessThan(15_000_000);
    // They take 10 MB, and without bounds 110 MB.
    expect(memoryInUse() - before).toBeLessThan(60_000_000);
    // This also keeps the windows in memory until it was measured.
    expect(counted + total(windows.close(Infinity))).toBe(50_000);
  });
});
