import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { generateToken } from '#libs/api-key-format/token.js';
import { createClient, type ApiError } from '#libs/client/client.js';
import { eventually } from '../support/eventually.js';
import { withOtherSecret } from '../support/tokens.js';
import { Ledger, openCustomer, type Customer, type Key } from './ledger.js';
import { startProcesses, type Processes } from './processes.js';
import { expectAgreement, readSoundAuditLog } from './audit-log.js';

/** Each change on each of the two nodes, twice. `REVOCATION_ROUNDS=200` is a longer run. */
const ROUNDS = Number(process.env['REVOCATION_ROUNDS'] ?? 8);
/** Each of the five questions, with the revocation on each of the two nodes. */
const QUESTIONS = 10;
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
  it('is rejected by both in every request after the response to its end, and no use is recorded after it', async () => {
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
      // Each node has to know the key. Otherwise the round would prove nothing.
      const known = () => new Set(accepted.map(({ url }) => url)).size === urls.length;
      await eventually(async () => known(), Boolean);
      await sleep(BEFORE_MS * Math.random());

      // The rounds alternate the node that ends the key, so each node also has to learn of the other node's changes.
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
    expect([...ledger.responses.keys()].toSorted()).toEqual(['revoked', 'success']);

    const auditLog = await readSoundAuditLog(deployment.sql);
    expectAgreement(ledger, auditLog);
    const endOf = new Map<string, number>();
    for (const event of auditLog) {
      if (event.type === 'api_key.rotated') endOf.set(event.data.previous_secret_id, event.data.seq);
      if (event.type === 'api_key.revoked') endOf.set(event.subject, event.data.seq);
    }
    expect(endOf.size).toBeGreaterThanOrEqual(ROUNDS);
    const usedAfterItsEnd = auditLog.filter(
      (event) =>
        event.type === 'api_key.used' &&
        [event.subject, event.data.secret_id!].some((id) => event.data.seq >= (endOf.get(id) ?? Infinity)),
    );
    expect(usedAfterItsEnd).toEqual([]);
  });
});

describe('a key that verifies others on two nodes at once', () => {
  it('gets no result from either, not even a denial, in every request after the response to its end', async () => {
    const urls = deployment.apis.map(({ url }) => url);
    const key = await newKey(urls[0]!);
    const about = {
      'a good key': key.token,
      'a key whose secret ended': customer.dead.token,
      'a wrong secret': withOtherSecret(key.token),
      'no key that is there': generateToken('sk_test'),
      'an invalid key': 'x',
    };
    const tooLate: unknown[] = [];
    for (let round = 0; round < QUESTIONS; round++) {
      const service = await newKey(urls[0]!, 'api-keys:verify');
      const ask = async (url: string, what: string) => {
        const client = createClient({ baseUrl: url, apiKey: service.token });
        const { code } = await client.apiKeys
          .verify({ body: { key: what } })
          .catch((error: ApiError) => ({ code: `refused: ${error.problem.code}` }));
        return code;
      };
      for (const url of urls) expect(await ask(url, key.token)).toBe('valid');
      const manage = createClient({ baseUrl: urls[round % 2]!, accessToken: customer.accessToken }).apiKeys;
      await manage.revoke({ params: { id: service.id } });
      // Each node gets one question: the first one after the revocation must already be rejected.
      const [what, token] = Object.entries(about)[round % 5]!;
      for (const url of urls) {
        const code = await ask(url, token);
        if (code !== 'refused: revoked') tooLate.push({ round, what, code, node: urls.indexOf(url) });
      }
    }
    expect(tooLate).toEqual([]);

    const auditLog = await readSoundAuditLog(deployment.sql);
    const refused = auditLog.filter(
      (event) => event.type === 'api_key.denied' && event.data.path === '/api/v1/api-keys/verify',
    );
    expect(refused.map(({ data }) => data)).toMatchObject(
      Array.from({ length: 2 * QUESTIONS }, () => ({ surface: 'management', code: 'revoked' })),
    );
  });
});

async function newKey(url: string, scope = 'triggers:read'): Promise<Key> {
  const client = createClient({ baseUrl: url, accessToken: customer.accessToken });
  const { id, key } = await client.apiKeys.create({ body: { name: 'To end', scopes: [scope] } });
  return { id, token: key };
}
