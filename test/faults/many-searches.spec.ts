import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import type { Client } from '#libs/client/client.js';
import { quantile } from '../bench/report.js';
import { fillAuditLog } from '../support/audit-log.js';
import { builtModule } from '../support/built-module.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { keyNumber } from '../support/ingesting.js';
import { outcomeOf } from '../support/rejection.js';

const { FairQueue } = await builtModule<typeof import('#libs/platform/fair-queue.js')>('#libs/platform/fair-queue.js');

const SIZE = 40_000;
const CALLS = 40;
/** As many as a script may send that reads its pages in parallel. */
const MANY = 96;

let deployment: Deployment;
let searcher: Account;
let bystander: Client;
let key: Client;
/** How many steps of the many searches have ended. A step reads a few bundles, or decompresses one. */
let steps = 0;

beforeAll(async () => {
  deployment = await startDeployment();
  searcher = await deployment.account();
  const { client, organizationId } = await deployment.account();
  bystander = client;
  const body = { name: 'Bystander', organization_id: organizationId, scopes: ['triggers:read'] };
  key = deployment.client({ apiKey: (await client.apiKeys.create({ body })).key });
  const uses = { apiKeyId: keyNumber(1), data: { ip: '192.0.2.1' }, path: '/v1/' };
  await fillAuditLog(deployment.sql, SIZE, { organizationId: searcher.organizationId, ...uses });
  // oxlint-disable-next-line typescript/unbound-method -- it is called with its queue
  const { run } = FairQueue.prototype;
  jest.spyOn(FairQueue.prototype, 'run').mockImplementation(async function (this: object, flow, work) {
    const result = await run.call(this, flow, work);
    if (flow === searcher.organizationId) steps += 1;
    return result;
  });
});

afterAll(async () => {
  jest.restoreAllMocks();
  await deployment.stop();
});

const calls: Record<string, () => Promise<unknown>> = {
  'a page of the audit log': () => bystander.audit.listEvents({ query: { limit: 5 } }),
  'a use of a key': () => key.auth.whoami(),
};

it.each(Object.keys(calls))(
  'while one tenant sends many searches at once, %s of another waits for few steps of them',
  async (what) => {
    const stopping = new AbortController();
    const outcomes = new Set<string>();
    const search = async () => {
      for (let cursor: string | undefined; !stopping.signal.aborted;) {
        // No term serves a wide network, and none of its addresses is in the log: each entry is read.
        const page = searcher.client.audit.listEvents({ query: { ip: '10.0.0.0/8', limit: 1, cursor } });
        outcomes.add(await outcomeOf(page.then(({ next_cursor: next }) => (cursor = next ?? undefined))));
      }
    };
    const searching = Promise.all(Array.from({ length: MANY }, search));
    await sleep(200);
    const waitedFor: number[] = [];
    for (let n = 0; n < CALLS; n++) {
      const before = steps;
      await calls[what]!();
      waitedFor.push(steps - before);
    }
    stopping.abort();
    await searching;
    process.stderr.write(
      `${what} beside ${MANY} searches: ${waitedFor.toSorted((a, b) => a - b).join(' ')} steps; ${[...outcomes].join()}\n`,
    );
    // With turns, the median is 2 to 6. Without them, a page waits for 50.
    expect(quantile(waitedFor, 0.5)).toBeLessThan(20);
  },
);
