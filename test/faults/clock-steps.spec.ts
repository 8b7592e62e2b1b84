import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { toUuid } from '#libs/contract/ids.js';
import { shardOf } from '#libs/outbox/shard.js';

import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { checkedLogs, storedEvents } from '../support/audit-log.js';
import { event, store } from '../support/events.js';
import { keyNumber, newIngester, use } from '../support/ingesting.js';
import { randomFrom } from './random.js';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const BATCHES = Number(process.env['BATCHES'] ?? 20);
const RANGES = 16;
const HOUR_MS = 3_600_000;
const START = Date.parse('2026-06-01T00:00:00Z');
const LIMIT = 100;

const random = randomFrom(SEED);
const below = (n: number) => Math.floor(random() * n);

let deployment: Deployment;
let ada: Account;
let clock = START;

beforeAll(async () => {
  process.stderr.write(`clock steps: SEED=${SEED}\n`);
  deployment = await startDeployment({ worker: false });
  ada = await deployment.account();
});

afterAll(() => deployment.stop());

/** The clock usually ticks. Now and then it steps by hours, forwards or back. */
function nextTime(): string {
  if (random() < 0.02) clock += (below(13) - 6) * HOUR_MS;
  clock += below(2_000);
  return new Date(clock).toISOString();
}

/** Appends one batch, after which the clock may step as well. */
async function appendSome(): Promise<void> {
  const { organizationId } = ada;
  const batch = Array.from({ length: 1 + below(120) }, () => {
    const said = { time: nextTime(), subject: keyNumber(1 + below(2)) };
    if (random() < 0.05) return event(organizationId, { type: 'test.happened', ...said });
    return use(organizationId, said);
  });
  await store(deployment.sql, organizationId, batch);
  await newIngester(deployment.sql).ingest([shardOf(organizationId)]);
  if (random() < 0.3) clock += (below(13) - 6) * HOUR_MS;
}

async function sizeOfLog(): Promise<number> {
  const { rows } = await deployment.sql.query<{ size: number }>(
    'SELECT size::float8 AS size FROM audit_log WHERE organization_id = $1',
    [toUuid(ada.organizationId)],
  );
  return rows[0]!.size;
}

type Query = NonNullable<Parameters<Account['client']['audit']['listEvents']>[0]>['query'];

/** The leaf indexes of all pages. */
async function indexesOf(query: Query, between: () => Promise<void> = () => Promise.resolve()): Promise<number[]> {
  const indexes: number[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await ada.client.audit.listEvents({ query: { limit: LIMIT, ...query, cursor } });
    indexes.push(...page.data.map(({ leaf_index: index }) => index));
    if (!page.next_cursor) return indexes;
    cursor = page.next_cursor;
    await between();
  }
}

it('an audit log whose clock steps by hours has all events in any range of times, and correct times of bundles', async () => {
  for (let n = 0; n < BATCHES; n++) await appendSome();
  const events = await storedEvents(deployment.sql, ada.organizationId);
  const times = events.map(({ time }) => Date.parse(time));
  const [first, last] = [Math.min(...times), Math.max(...times)];

  for (let n = 0; n < RANGES; n++) {
    const from = first + below(last - first);
    const to = n % 3 === 0 ? last + 1 : from + below(n % 3 === 1 ? HOUR_MS : 12 * HOUR_MS);
    const keyId = n % 2 === 0 ? undefined : keyNumber(1);
    const order = n % 4 < 2 ? 'asc' : 'desc';
    const expected = events.flatMap(({ subject }, index) => {
      const isWithin = times[index]! >= from && times[index]! < to;
      return isWithin && (!keyId || subject === keyId) ? [index] : [];
    });
    const query = { from: new Date(from).toISOString(), to: new Date(to).toISOString(), key_id: keyId, order } as const;
    const found = await indexesOf(query);
    expect({ query, found }).toEqual({ query, found: order === 'asc' ? expected : expected.toReversed() });
  }

  // The most by which a bundle is earlier than one before it.
  let [latest, lateness] = [-Infinity, 0];
  for (let n = 0; n + 256 <= times.length; n += 256) {
    const own = times.slice(n, n + 256);
    lateness = Math.max(lateness, latest === -Infinity ? 0 : latest - Math.min(...own));
    latest = Math.max(latest, ...own);
  }
  const { rows } = await deployment.sql.query<{ latest: Date; lateness: number }>(
    'SELECT latest, lateness_ms::float8 AS lateness FROM audit_log WHERE organization_id = $1',
    [toUuid(ada.organizationId)],
  );
  expect(rows).toEqual([{ latest: new Date(latest), lateness }]);
  // The steps were large, or nothing was tested.
  expect(lateness).toBeGreaterThan(HOUR_MS);
  expect(await checkedLogs(deployment.sql, ada.organizationId)).toMatchObject([{ difference: null }]);
});

it.each(['asc', 'desc'] as const)('pages neither repeat nor miss an event while the clock steps, %s', async (order) => {
  const size = await sizeOfLog();
  const read = await indexesOf({ order }, async () => {
    if ((await sizeOfLog()) < size + 1_000) await appendSome();
  });
  const [from, to] = order === 'asc' ? [0, read.length] : [0, size];
  const expected = Array.from({ length: to - from }, (_, n) => n);
  expect(read).toEqual(order === 'asc' ? expected : expected.toReversed());
  expect(read.length).toBeGreaterThanOrEqual(size);
});
