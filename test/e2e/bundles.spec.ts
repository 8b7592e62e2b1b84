import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type pg from 'pg';
import { pageOfLog } from '#libs/audit/audit-page.js';
import { matcherOf, type Criteria, type StoredFilter } from '#libs/audit/audit-filter.js';
import { AuditReader } from '#libs/audit/audit-reader.js';
import { eventOf } from '#libs/audit/leaf.js';
import type { Order, Span } from '#libs/audit/span.js';
import { AuditWriter } from '#libs/audit/audit-writer.js';
import { leafHashOf, nodeHashOf } from '#libs/audit/log-growth.js';
import { columnsOf, type AuditColumns } from '#libs/audit/audit-columns.js';
import type { AuditEvent } from '#libs/contract/audit.js';
import { asEnvelope } from '#libs/contract/events.js';
import { leafHash, nodeHash } from '#libs/tlog/leaf.js';
import { fromUuid, newId, toUuid } from '#libs/contract/ids.js';
import { inTransaction, survivingPool } from '#libs/database/database.js';
import { checkedLogs, storedEntries, storedEvents } from '../support/audit-log.js';
import { event, type Said } from '../support/events.js';
import { createDatabase, type TestDatabase } from '../support/deployment.js';

let database: TestDatabase;
let sql: pg.Pool;
let worker: pg.Pool;

beforeAll(async () => {
  database = await createDatabase();
  sql = survivingPool({ connectionString: database.adminUrl, max: 4 });
  worker = survivingPool({ connectionString: database.workerUrl, max: 4 });
});

afterAll(async () => {
  await sql.end();
  await worker.end();
  await database.drop();
});

async function newOrganization(): Promise<string> {
  const id = newId('org', new Date());
  await sql.query(
    `INSERT INTO organization (id, name, personal, created_at, updated_at, version) VALUES ($1, 'Test', false, now(), now(), 1)`,
    [toUuid(id)],
  );
  return id;
}

const keyNumber = (n: number) => fromUuid('key', `01900000-0000-7000-8000-${String(n).padStart(12, '0')}`);

type Changes = Partial<Said> & { readonly key?: string };

/** A use, or another event, by a key. */
function eventOn(organizationId: string, { type = 'api_key.used', key = keyNumber(1), data, ...said }: Changes = {}) {
  const actor = { type: 'api_key', id: key };
  const entry = Buffer.from(event(organizationId, { type, subject: key, ...said, data: { actor, ...data } }));
  const envelope = asEnvelope(JSON.parse(entry.toString()));
  return { envelope, entry, at: Date.parse(envelope.time) };
}

type Event = ReturnType<typeof eventOn>;

/** One transaction of the worker, which reads so many events at once. */
async function append(events: readonly Event[], atOnce = events.length): Promise<void> {
  const sink = new AuditWriter().open();
  await inTransaction(worker, async (client) => {
    for (let n = 0; n < events.length; n += atOnce) await sink.add(client, events.slice(n, n + atOnce));
    await sink.write(client);
  });
}

/** What `keyledger audit check` finds in a log. */
async function differenceIn(organizationId: string): Promise<string | null> {
  const [checked] = await checkedLogs(sql, organizationId);
  return checked!.difference;
}

describe('an audit log', () => {
  const sizes = fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 1, max: 30 }) },
    { weight: 1, arbitrary: fc.integer({ min: 200, max: 600 }) },
  );

  it('has every entry once and in order, and all else follows from the entries, however it grew', async () => {
    const atOnce = fc.constantFrom(1, 7, 256, 1_000);
    await fc.assert(
      fc.asyncProperty(fc.array(sizes, { minLength: 1, maxLength: 40 }), atOnce, async (batches, some) => {
        const organizationId = await newOrganization();
        const sent: Event[] = [];
        for (const size of batches) {
          const events = Array.from({ length: size }, (_, n) =>
            eventOn(organizationId, { type: n % 7 === 3 ? 'test.happened' : 'api_key.used', data: { n } }),
          );
          await append(events, some);
          sent.push(...events);
        }
        const stored = await storedEntries(sql, organizationId);
        expect(stored.map(({ leafIndex }) => leafIndex)).toEqual(sent.map((_, n) => n));
        expect(stored.every(({ entry }, n) => entry.equals(sent[n]!.entry))).toBe(true);
        expect(await differenceIn(organizationId)).toBeNull();
      }),
      { numRuns: 10 },
    );
  });

  it('hides no entry from a reader while bundles are sealed', async () => {
    const organizationId = await newOrganization();
    const reader = new AuditReader(sql);
    const written = new AbortController();
    const sizesRead: number[] = [];
    const write = async () => {
      // 150 transactions fill more than ten bundles. A slow reader needs more of them to read while they are sealed.
      for (let n = 0; n < 150 || sizesRead.length < 20; n++) {
        await append(Array.from({ length: 1 + (n % 40) }, (_, k) => eventOn(organizationId, { data: { n, k } })));
      }
      written.abort();
    };
    const read = async (order: Order) => {
      while (!written.signal.aborted) {
        const size = await reader.size(organizationId);
        const from = Math.max(0, size - 300);
        const indexes: number[] = [];
        const search = { organizationId, filter: { keyId: keyNumber(1) } };
        for await (const { leaves } of reader.pages(search, { from, below: size }, order, 50)) {
          indexes.push(...leaves.map(({ index }) => index));
        }
        const expected = Array.from({ length: size - from }, (_, n) => from + n);
        expect(indexes).toEqual(order === 'asc' ? expected : expected.toReversed());
        sizesRead.push(size);
      }
    };
    await Promise.all([write(), read('asc'), read('desc')]);
    expect(await reader.size(organizationId)).toBeGreaterThan(2_560);
  });

  it('may have entries of the largest size, of which a reader has few in memory at once', async () => {
    const organizationId = await newOrganization();
    // Three bundles and more: a reader would read the second and the third one together if they were smaller.
    const count = 800;
    // Random text is hardly compressed: every third entry makes a bundle of 4 MB, more than a reader takes at once.
    const texts = Array.from({ length: count }, (_, n) => (n % 3 === 0 ? randomBytes(48_000).toString('base64') : 'x'));
    for (let n = 0; n < count; n += 50) {
      const some = texts.slice(n, n + 50);
      await append(some.map((text) => eventOn(organizationId, { data: { text } })));
    }
    const stored = await storedEvents(sql, organizationId);
    expect(stored.length).toBe(count);
    expect(stored.every(({ data }, n) => (data as unknown as { text: string }).text === texts[n])).toBe(true);
    expect(await differenceIn(organizationId)).toBeNull();
  });

  it('has equal hashes with the worker’s own SHA-256 and with that of libs/tlog', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (entry) => {
        expect(Buffer.from(leafHashOf(entry))).toEqual(Buffer.from(leafHash(entry)));
        const [left, right] = [leafHash(entry), leafHash(Uint8Array.of(7, ...entry))];
        expect(Buffer.from(nodeHashOf(left, right))).toEqual(Buffer.from(nodeHash(left, right)));
      }),
    );
  });
});

describe('a search in a log of many bundles', () => {
  /** More than the search compares before it uses the index of terms. */
  const BUNDLES = 80;
  const SIZE = BUNDLES * 256 + 100;
  const START = Date.parse('2026-01-01T00:00:00Z');
  const rareSecret = fromUuid('secret', '01900000-0000-7000-8000-000000000009');
  let organizationId: string;
  let everything: AuditEvent[];
  let columns: AuditColumns[];

  /** An id as the API makes it, some seconds before the event. */
  const ownRequest = (n: number, time: number) => {
    const ms = (time - (n % 50) * 1_000).toString(16).padStart(12, '0');
    const uuid = `${ms.slice(0, 8)}-${ms.slice(8)}-7000-8000-${String(n).padStart(12, '0')}`;
    return fromUuid('req', uuid);
  };

  /** Frequent, medium and rare values. Times grow by a second, and one event in a thousand is an hour late. */
  function said(n: number): Changes {
    const verified = n % 1_500 === 20 ? { verified_by: { type: 'api_key', id: keyNumber(9) } } : {};
    const late = n % 1_000 === 999 ? 3_600 : 0;
    const project = n % 500 < 250 ? { project_id: fromUuid('proj', '01900000-0000-7000-8000-000000000001') } : {};
    const common = {
      ip: `192.0.${n % 7}.${n % 200}`,
      path: n % 300 === 0 ? `/rare/${n}/x` : `/v1/agents/${n}`,
      ...project,
    };
    // In the middle of the log, the clock was a year ahead for a moment.
    const ahead = n === 12_800 ? 365 * 86_400 : 0;
    const time = new Date(START + (n - late + ahead) * 1_000).toISOString();
    // What one request began goes on for hours.
    const begun = n === 16_003 ? { n: 6_003, time: START + 6_003_000 } : { n, time: Date.parse(time) };
    const request = n % 4 === 0 ? `trace:${n % 900}` : ownRequest(begun.n, begun.time);
    const key = keyNumber(n % 4_000 === 5 ? 3 : n % 20 === 0 ? 2 : 1);
    if (n % 3_000 === 7)
      return { type: 'api_key.denied', key, time, data: { ...common, request_id: request, code: 'expired', count: 1 } };
    if (n % 2_000 === 3)
      return { type: 'api_key.updated', key, time, data: { ...common, request_id: request, changes: {} } };
    return {
      key,
      time,
      data: { ...common, request_id: request, secret_id: n % 9_000 === 11 ? rareSecret : 'secret', ...verified },
    };
  }

  beforeAll(async () => {
    organizationId = await newOrganization();
    const events = Array.from({ length: SIZE }, (_, n) => eventOn(organizationId, said(n)));
    for (let n = 0; n < events.length; n += 2_000) await append(events.slice(n, n + 2_000));
    // Another organization with the same values, whose bundles must not be found.
    const other = await newOrganization();
    await append(Array.from({ length: 300 }, (_, n) => eventOn(other, said(n))));
    everything = events.map(({ envelope }, n) => ({ leaf_index: n, event: envelope }));
    columns = events.map(({ envelope }) => columnsOf(envelope));
  }, 120_000);

  async function find(filter: StoredFilter, order: Order, span: Span, most: number): Promise<number[]> {
    const found: number[] = [];
    for await (const { leaves } of new AuditReader(sql).pages({ organizationId, filter }, span, order, 50)) {
      // What it returns are the entries themselves.
      for (const leaf of leaves.slice(0, 3)) expect(eventOf(leaf)).toEqual(everything[leaf.index]);
      found.push(...leaves.map(({ index }) => index));
      if (found.length >= most) break;
    }
    return found.slice(0, most);
  }

  function scan(filter: StoredFilter): number[] {
    const matches = matcherOf(filter);
    return everything
      .filter(({ event }, n) => {
        const time = Date.parse(event.time);
        if (filter.from && time < Date.parse(filter.from)) return false;
        return (!filter.to || time < Date.parse(filter.to)) && matches(event, columns[n]);
      })
      .map(({ leaf_index: index }) => index);
  }

  const instant = (n: number) => new Date(START + n * 1_000).toISOString();
  const filters: readonly (readonly [string, StoredFilter])[] = [
    ['nothing', {}],
    ['a frequent key', { keyId: keyNumber(1) }],
    ['a less frequent key', { keyId: keyNumber(2) }],
    ['a rare key', { keyId: keyNumber(3) }],
    ['an absent key', { keyId: keyNumber(4) }],
    ['a rare key by its own id as actor', { actorId: keyNumber(3) }],
    ['a rare key as subject', { subject: keyNumber(3) }],
    ['a rare outcome', { outcomes: ['expired'] }],
    ['a rare outcome, an absent one', { outcomes: ['expired', 'revoked'] }],
    ['a type of management', { types: ['api_key.updated'] }],
    ['two types', { types: ['api_key.updated', 'api_key.denied'] }],
    ['a prefix of types', { types: ['api_key.*'] }],
    ['an address', { ip: '192.0.3.73' }],
    ['an absent address', { ip: '198.51.100.1' }],
    ['a network', { ip: '192.0.3.0/24' }],
    ['a part of a network', { ip: '192.0.3.64/28' }],
    ['a wide network', { ip: '192.0.0.0/16' }],
    ['a frequent path', { path: '/v1/agents/' }],
    ['a rare path', { path: '/rare/' }],
    ['one path', { path: '/v1/agents/21' }],
    ['a project', { projectIds: [fromUuid('proj', '01900000-0000-7000-8000-000000000001')] }],
    [
      'a project and another one',
      { projectIds: [1, 2].map((n) => fromUuid('proj', `01900000-0000-7000-8000-00000000000${n}`)) },
    ],
    ['a rare secret', { secretId: rareSecret }],
    ['a caller of verifications', { verifiedBy: keyNumber(9) }],
    ['a frequent key in a range of times', { keyId: keyNumber(1), from: instant(10_000), to: instant(10_500) }],
    ['everything in an early range of times', { from: instant(-4_000), to: instant(1_000) }],
    ['everything from a late time', { from: instant(SIZE - 500) }],
    ['everything to an early time', { to: instant(300) }],
    ['everything from a late time to a later one', { from: instant(20_000), to: instant(20_300) }],
    ['a rare key and a network', { keyId: keyNumber(3), ip: '192.0.0.0/24' }],
    ['a text in uses and changes', { search: '/RARE/' }],
    ['an absent text', { search: 'no such text' }],
    ['a text and a rare key', { search: 'API_KEY.', keyId: keyNumber(3) }],
    ['a request by an id of the client', { requestId: 'trace:700' }],
    ['a request by an id of ours', { requestId: ownRequest(18_001, START + 18_001_000) }],
    ['a request that is recorded an hour late', { requestId: ownRequest(10_999, START + 7_399_000) }],
    ['a request that changed keys, one of them hours later', { requestId: ownRequest(6_003, START + 6_003_000) }],
    ['a request in times in which it was not', { requestId: ownRequest(9, START + 9_000), from: instant(500) }],
    ['an absent request of ours', { requestId: ownRequest(77, START + 9_000_000) }],
    ['all but the uses', { not: { outcomes: ['valid'] } }],
    ['all but the uses, by type', { not: { types: ['api_key.used'] } }],
    ['all but frequent keys and a network', { not: { keyId: keyNumber(1), ip: '192.0.0.0/16' } }],
  ];

  it.each(filters)('finds what a scan finds: %s', async (_, filter) => {
    const wanted = scan(filter);
    const within = ({ from, below }: Span) => wanted.filter((index) => index >= from && index < below);
    const whole = { from: 0, below: SIZE };
    const inner = { from: 300, below: SIZE - 300 };
    const few = { from: 12_700, below: 13_100 };
    const one = { from: 20_000, below: 20_001 };
    for (const span of [inner, few, one]) {
      expect(await find(filter, 'asc', span, 3_000)).toEqual(within(span).slice(0, 3_000));
    }
    for (const span of [whole, few, one]) {
      expect(await find(filter, 'desc', span, 51)).toEqual(within(span).toReversed().slice(0, 51));
    }
  });

  it('finds what a scan finds, whatever an event must have and must not have', async () => {
    const criteria = fc.constantFrom(...filters.flatMap(([, { from: _, to: __, not, ...one }]) => not ?? one));
    const several = fc.array(criteria, { maxLength: 2 }).map((all): Criteria => Object.assign({}, ...all) as Criteria);
    let found = 0;
    await fc.assert(
      fc.asyncProperty(several, several, fc.nat(SIZE), async (wanted, not, from) => {
        const filter = { ...wanted, not };
        const span = { from, below: Math.min(from + 3_000, SIZE) };
        const expected = scan(filter).filter((index) => index >= span.from && index < span.below);
        expect(await find(filter, 'desc', span, 5_000)).toEqual(expected.toReversed());
        found += expected.length;
      }),
      { numRuns: 40 },
    );
    expect(found).toBeGreaterThan(5_000);
  });

  /** All pages of a query whose searches pause as often as they can. */
  async function pagesOf(filter: StoredFilter, order: Order, limit: number) {
    const reader = new AuditReader(sql);
    const pages: { indexes: number[]; scannedTo: number | null; cursor: string | undefined }[] = [];
    let cursor: string | undefined;
    let previous: string | null = null;
    do {
      const page = pageOfLog({ limit, order, cursor }, SIZE);
      const { found, reached } = await reader.find({ organizationId, filter }, page, limit + 1, 0);
      const { leaves, nextCursor, previousCursor, scannedTo } = page.present(found, reached);
      pages.push({ indexes: leaves.map(({ index }) => index), scannedTo, cursor });
      cursor = nextCursor ?? undefined;
      previous = previousCursor;
    } while (cursor);
    return { pages, previous };
  }

  it.each(['asc', 'desc'] as const)('that pauses goes on at the next cursor without a gap, %s', async (order) => {
    const early = { keyId: keyNumber(1), from: instant(100), to: instant(300) };
    for (const filter of [
      early,
      { path: '/rare/3' },
      { keyId: keyNumber(3) },
      { ip: '192.0.0.0/16', keyId: keyNumber(3) },
    ]) {
      const wanted = await find(filter, order, { from: 0, below: SIZE }, 5_000);
      const { pages } = await pagesOf(filter, order, 10);
      expect(pages.flatMap(({ indexes }) => indexes)).toEqual(wanted);
      // It did pause, and says how far it came.
      const paused = pages.flatMap(({ scannedTo }) => scannedTo ?? []);
      expect(paused.length).toBeGreaterThan(2);
      expect(paused).toEqual(paused.toSorted((a, b) => (order === 'asc' ? a - b : b - a)));
      expect(pages.at(-1)!.scannedTo).toBeNull();
    }
  });

  const rare: StoredFilter = { keyId: keyNumber(3) };

  it.each(['asc', 'desc'] as const)(
    'for a rare value reads only as many bundles as the page has matches: %s',
    async (order) => {
      for (const count of [1, 2, 3, 4, 5]) {
        let bundles = 0;
        const counting = {
          query(query: string | pg.QueryConfig, values?: unknown[]) {
            if (typeof query === 'string') return sql.query(query, values);
            if (query.name === `audit-bodies-${order}`) bundles += (query.values![1] as number[]).length;
            return sql.query(query);
          },
        };
        const reader = new AuditReader(counting as unknown as pg.Pool);
        const page = { span: { from: 0, below: SIZE }, order };
        const { found } = await reader.find({ organizationId, filter: rare }, page, count);
        expect({ found: found.length, bundles }).toEqual({ found: count, bundles: count });
      }
    },
  );

  it('looks for a rare value in the index of terms, and does not find all bundles of a frequent one there', async () => {
    const client = await sql.connect();
    const searchesOfIndex = async () => {
      const { rows } = await client.query<{ count: number }>(
        `SELECT sum(pg_stat_get_xact_numscans(indexrelid))::int AS count FROM pg_index
         WHERE indexrelid::regclass::text LIKE 'audit_body%terms_idx'`,
      );
      return rows[0]!.count;
    };
    const reader = new AuditReader(client as unknown as pg.Pool);
    const page = { span: { from: 0, below: BUNDLES * 256 }, order: 'desc' } as const;
    try {
      await client.query('BEGIN');
      // Without its other index, PostgreSQL uses the index of terms for whatever it may.
      await client.query('ALTER TABLE audit_body DROP CONSTRAINT audit_body_pkey; SET LOCAL enable_seqscan = off');
      await reader.find({ organizationId, filter: { keyId: keyNumber(1) } }, page, 50);
      expect(await searchesOfIndex()).toBe(0);
      await reader.find({ organizationId, filter: rare }, page, 50);
      expect(await searchesOfIndex()).toBeGreaterThan(0);
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  });

  it('that pauses finds the same events on the way back', async () => {
    const filter = { keyId: keyNumber(3) };
    const { previous } = await pagesOf(filter, 'desc', 4);
    const back: number[] = [];
    for (let cursor = previous; cursor;) {
      const page = pageOfLog({ limit: 4, order: 'desc', cursor }, SIZE);
      const { found, reached } = await new AuditReader(sql).find({ organizationId, filter }, page, 5, 0);
      const { leaves, previousCursor } = page.present(found, reached);
      back.unshift(...leaves.map(({ index }) => index));
      cursor = previousCursor;
      if (leaves.length === 0 && reached === null) break;
    }
    const all = await find(filter, 'desc', { from: 0, below: SIZE }, 5_000);
    // The last page itself is not on the way back.
    expect(all.slice(0, back.length)).toEqual(back);
    expect(back.length).toBeGreaterThan(3);
  });
});
