import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { survivingPool } from '#libs/database/database.js';
import { SHARDS } from '#libs/outbox/shard.js';
import { event, store } from '../support/events.js';
import { newIngester, newOrganization } from '../support/ingesting.js';
import { expectAgreement, readSoundAuditLog } from './audit-log.js';
import { Ledger, openCustomer, startLoad } from './ledger.js';
import { startProcesses, type Processes } from './processes.js';

const SECONDS = Number(process.env['LOAD_SECONDS'] ?? 2);
/** Organizations of one shard, whose events come in a different order in each batch. */
const ORGANIZATIONS = 20;
const BATCH = 100;
const BATCH_EVERY_MS = 30;
const EVERY_SHARD = Array.from({ length: SHARDS }, (_, shard) => shard);

let deployment: Processes;

beforeAll(async () => {
  deployment = await startProcesses({ apis: 1, workers: 2 });
});

afterAll(() => deployment.stop());

/** Calls the function again and again until stopped. */
function repeat(work: () => Promise<void>): () => Promise<void> {
  const stopping = new AbortController();
  const run = async () => {
    while (!stopping.signal.aborted) await work();
  };
  const running = run();
  return async () => {
    stopping.abort();
    await running;
  };
}

it('several workers that ingest the same shards under load add each event once, and never deadlock', async () => {
  const urls = deployment.apis.map(({ url }) => url);
  const customers = await Promise.all([0, 1, 2].map(() => openCustomer(urls[0]!)));
  const ledger = new Ledger();
  const stopLoad = startLoad(ledger, urls, customers);

  const organizations: string[] = [];
  for (let n = 0; n < ORGANIZATIONS; n++) organizations.push(await newOrganization(deployment.sql, 7));
  let stored = 0;
  const stopBulk = repeat(async () => {
    const batch = Array.from({ length: BATCH }, (_, n) => {
      const organization = organizations[(stored * 7 + n * 3) % ORGANIZATIONS]!;
      return event(organization, { type: 'test.happened', subject: 'test', data: { n: stored + n } });
    });
    await store(deployment.sql, organizations[0]!, batch);
    stored += BATCH;
    await sleep(BATCH_EVERY_MS);
  });

  // Beside the two worker processes. Each takes all shards in one transaction, and so competes with each of their jobs.
  const pools = [0, 1].map(() => survivingPool({ connectionString: deployment.database.workerUrl }));
  const ingested = { wait: 0, skip: 0 };
  const stopIngesters = (['wait', 'skip'] as const).map((busy, n) => {
    const ingester = newIngester(pools[n]!);
    return repeat(async () => {
      ingested[busy] += await ingester.ingest(EVERY_SHARD, { busy });
      await sleep(5);
    });
  });

  await sleep(SECONDS * 1_000);
  await stopLoad();
  await stopBulk();
  const auditLog = await readSoundAuditLog(deployment.sql);
  await Promise.all(stopIngesters.map((stop) => stop()));
  await Promise.all(pools.map((pool) => pool.end()));

  expect(deployment.failures).toEqual([]);
  expectAgreement(ledger, auditLog);
  expect(auditLog.filter(({ type }) => (type as string) === 'test.happened').length).toBe(stored);
  // The processes report each job that failed.
  expect(deployment.workers.map(({ output }) => output)).toEqual(['', '']);
  // All of them had work.
  expect(ingested.wait).toBeGreaterThan(0);
  expect(ingested.skip).toBeGreaterThan(0);
  expect(ingested.wait + ingested.skip).toBeLessThan(auditLog.length);
  process.stderr.write(
    `several workers: ${auditLog.length} events, of which the ingesters beside the processes took ${ingested.wait} (wait) and ${ingested.skip} (skip)\n`,
  );
});
