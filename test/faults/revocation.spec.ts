import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient } from '#libs/client/client.js';
import { eventually } from '../support/eventually.js';
import { Ledger, openCustomer, type Customer, type Key } from './ledger.js';
import { startProcesses, type Processes } from './processes.js';
import { expectAgreement, readSoundTrail } from './trail.js';

const ROUNDS = 40;
const CALLERS_PER_NODE = 3;
const BEFORE_MS = 60;
const AFTER_MS = 30;
const BURST = 5;

let deployment: Processes;
let customer: Customer;

beforeAll(async () => {
  deployment = await startProcesses({ apis: 2 });
  customer = await openCustomer(deployment.apis[0]!.url);
});

afterAll(() => deployment.stop());

describe('a key that is used on two nodes at once', () => {
  it('is accepted by neither in a request that begins after its end was answered, and no use is recorded after it', async () => {
    const ledger = new Ledger();
    const urls = deployment.apis.map(({ url }) => url);
    const tooLate: unknown[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const key = await newKey(urls[0]!);
      const accepted: { url: string; begunAt: number }[] = [];
      const use = async (url: string) => {
        const begunAt = performance.now();
        if ((await ledger.whoami(url, key)) === 'yes') accepted.push({ url, begunAt });
      };
      const stopping = new AbortController();
      const callers = Promise.all(
        urls.flatMap((url) =>
          Array.from({ length: CALLERS_PER_NODE }, async () => {
            while (!stopping.signal.aborted) await use(url);
          }),
        ),
      );
      // Unless each of them knows the key, the round would show nothing.
      const known = () => new Set(accepted.map(({ url }) => url)).size === urls.length;
      await eventually(async () => known(), Boolean);
      await sleep(BEFORE_MS * Math.random());

      // Ended on one node by turns, so that each also has to learn of what the other did.
      const changer = urls[round % 2]!;
      const done = await (round % 4 < 2
        ? ledger.rotate(changer, customer.accessToken, key)
        : ledger.delete(changer, customer.accessToken, key));
      const endedAt = performance.now();
      expect(done).toBeTruthy();
      await Promise.all(urls.flatMap((url) => Array.from({ length: BURST }, () => use(url))));
      await sleep(AFTER_MS);
      stopping.abort();
      await callers;
      expect(known()).toBe(true);
      tooLate.push(...accepted.filter(({ begunAt }) => begunAt > endedAt));
    }
    expect(tooLate.slice(0, 5)).toEqual([]);
    expect([...ledger.answers.keys()].toSorted()).toEqual(['revoked', 'success']);

    const trail = await readSoundTrail(deployment.sql);
    expectAgreement(ledger, trail);
    const endOf = new Map<string, number>();
    for (const event of trail) {
      if (event.type === 'api_key.rotated') endOf.set(event.data.previous_secret_id, event.data.seq);
      if (event.type === 'api_key.revoked') endOf.set(event.subject, event.data.seq);
    }
    expect(endOf.size).toBeGreaterThanOrEqual(ROUNDS);
    const usedAfterItsEnd = trail.filter(
      (event) =>
        event.type === 'api_key.used' &&
        [event.subject, event.data.secret_id!].some((id) => event.data.seq >= (endOf.get(id) ?? Infinity)),
    );
    expect(usedAfterItsEnd).toEqual([]);
  });
});

async function newKey(url: string): Promise<Key> {
  const client = createClient({ baseUrl: url, accessToken: customer.accessToken });
  const { id, key } = await client.apiKeys.create({ body: { name: 'To end', scopes: ['triggers:read'] } });
  return { id, token: key };
}
