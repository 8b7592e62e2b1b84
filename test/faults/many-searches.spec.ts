import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createClient, type Client } from '#libs/client/client.js';
import { quantile } from '../bench/report.js';
import { fillAuditLog } from '../support/audit-log.js';
import { keyNumber } from '../support/ingesting.js';
import { outcomeOf } from '../support/rejection.js';
import { openCustomer, type Customer } from './ledger.js';
import { startProcesses, type Processes } from './processes.js';

const SIZE = Number(process.env['SIZE'] ?? 40_000);
const SECONDS = Number(process.env['LOAD_SECONDS'] ?? 2);
/** Few and many searches alternate. So other work of the machine slows both. */
const ROUNDS = 4;
const FEW = 3;
/** As many as a script may send that reads its pages in parallel. */
const MANY = 96;
const PAUSE_MS = 10;

let deployment: Processes;
let searcher: Client;
let bystander: Customer;

beforeAll(async () => {
  deployment = await startProcesses({ apis: 1 });
  const { url } = deployment.apis[0]!;
  const flooder = await openCustomer(url);
  bystander = await openCustomer(url);
  searcher = createClient({ baseUrl: url, accessToken: flooder.accessToken });
  const { organization_id: organizationId } = (await searcher.apiKeys.list()).data[0]!;
  const uses = { organizationId, apiKeyId: keyNumber(1), data: { ip: '192.0.2.1' }, path: '/v1/' };
  await fillAuditLog(deployment.sql, SIZE, uses);
});

afterAll(() => deployment.stop());

/** What happened while one tenant searched its audit log with so many requests at once. */
class Load {
  /** Milliseconds of each call of the bystander. */
  readonly took: number[] = [];
  readonly outcomes = new Map<string, number>();

  constructor(readonly requests: number) {}

  get median(): number {
    return quantile(this.took, 0.5);
  }
}

async function whileSearching({ requests, took, outcomes }: Load, call: () => Promise<unknown>): Promise<void> {
  const stopping = new AbortController();
  const search = async () => {
    for (let cursor: string | undefined; !stopping.signal.aborted;) {
      // No term serves a wide network, and none of its addresses is in the log: each entry is read.
      const page = searcher.audit.listEvents({ query: { ip: '10.0.0.0/8', limit: 1, cursor } });
      const outcome = await outcomeOf(page.then(({ next_cursor: next }) => (cursor = next ?? undefined)));
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  };
  const searching = Promise.all(Array.from({ length: requests }, search));
  await sleep(200);
  for (const end = performance.now() + (SECONDS / ROUNDS) * 1_000; performance.now() < end; await sleep(PAUSE_MS)) {
    const began = performance.now();
    await call();
    took.push(performance.now() - began);
  }
  stopping.abort();
  await searching;
}

const calls: Record<string, () => Promise<unknown>> = {
  'pages of the audit log': () =>
    client({ accessToken: bystander.accessToken }).audit.listEvents({ query: { limit: 5 } }),
  'uses of keys': () => client({ apiKey: bystander.key.token }).auth.whoami(),
};
const client = (credentials: object) => createClient({ baseUrl: deployment.apis[0]!.url, ...credentials });

it.each(Object.keys(calls))(
  'many searches of one tenant at once slow %s of others no more than few do',
  async (what) => {
    const few = new Load(FEW);
    const many = new Load(MANY);
    for (let round = 0; round < ROUNDS; round++) {
      for (const load of [few, many]) await whileSearching(load, calls[what]!);
    }
    for (const { requests, median, took, outcomes } of [few, many]) {
      const worst = Math.max(...took).toFixed(1);
      process.stderr.write(
        `${what} beside ${requests} searches: median ${median.toFixed(1)} ms, worst ${worst} ms of ${took.length}; searches: ${JSON.stringify([...outcomes])}\n`,
      );
    }
    // Without turns, pages took nine times as long.
    expect(many.median).toBeLessThan(4 * few.median);
  },
);
