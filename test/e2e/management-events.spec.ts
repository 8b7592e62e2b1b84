import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { AuditReader } from '#libs/audit/audit-reader.js';
import type { Order, Span } from '#libs/audit/span.js';
import { shardOf } from '#libs/outbox/shard.js';
import { event, store } from '../support/events.js';
import { newOrganization, startIngesting, use, type Ingesting } from '../support/ingesting.js';

/** More than twice as many as one statement compares without an index. */
const MANAGEMENT_EVENTS = 22_000;
/** A use follows each so many of them. */
const USE_EVERY = 4_000;
const RARE = '198.51.100.7';

let ingesting: Ingesting;
let organizationId: string;
/** The leaf indexes of the events with the rare address. */
const rare: number[] = [];
let size = 0;

beforeAll(async () => {
  ingesting = await startIngesting();
  organizationId = await newOrganization(ingesting.sql);
  const entries: Uint8Array[] = [];
  const add = (entry: Uint8Array, isRare: boolean) => {
    if (isRare) rare.push(entries.length);
    entries.push(entry);
  };
  for (let n = 0; n < MANAGEMENT_EVENTS; n++) {
    const isRare = n % 3_001 === 0;
    const data = { actor: { type: 'system', id: null }, ip: isRare ? RARE : '192.0.2.1' };
    add(event(organizationId, { type: 'test.changed', subject: `object ${n}`, data }), isRare);
    if (n % USE_EVERY === 0) add(use(organizationId, { data: { ip: RARE } }), true);
  }
  size = entries.length;
  for (let n = 0; n < size; n += 500) await store(ingesting.sql, organizationId, entries.slice(n, n + 500));
  while ((await ingesting.ingester.ingest([shardOf(organizationId)])) > 0);
});

afterAll(() => ingesting.stop());

async function find(order: Order, span: Span, count: number): Promise<number[]> {
  const search = { organizationId, filter: { ip: RARE } };
  const { found } = await new AuditReader(ingesting.sql).find(search, { span, order }, count, 60_000);
  return found.map(({ index }) => index);
}

it('are found among more of them than one statement compares, with the uses between them, in either order', async () => {
  const whole = { from: 0, below: size };
  expect(rare).toHaveLength(14);
  expect(await find('asc', whole, 100)).toEqual(rare);
  expect(await find('desc', whole, 100)).toEqual(rare.toReversed());
});

it('are found page by page, without a gap', async () => {
  for (const order of ['asc', 'desc'] as const) {
    const found: number[] = [];
    for (let span = { from: 0, below: size }; span.from < span.below;) {
      const page = await find(order, span, 2);
      found.push(...page);
      const last = page.at(-1);
      if (last === undefined) break;
      span = order === 'asc' ? { ...span, from: last + 1 } : { ...span, below: last };
    }
    expect(found).toEqual(order === 'asc' ? rare : rare.toReversed());
  }
});
