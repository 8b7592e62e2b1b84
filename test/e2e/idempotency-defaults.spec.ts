import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { freePort } from '../../apps/cli/free-port.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { expectHolds } from '../support/properties.js';

/**
 * What a body leaves out follows from the caller, and may be something else when the call is repeated. The same request
 * stays the same request, and a different one stays different.
 */
let deployment: Deployment;
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false, port: await freePort() });
  ada = await deployment.account();
});

afterAll(() => deployment.stop());

let calls = 0;
const newIdempotencyKey = () => `call-${(calls += 1)}`;

/** Sends a creation as bytes. @returns the id of the key with how the API took the call, or the code of the problem */
async function post(credential: string, idempotencyKey: string, body: object): Promise<[string, string?]> {
  const response = await fetch(`${deployment.url}/api/v1/api-keys`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${credential}`,
      'content-type': 'application/json',
      'idempotency-key': idempotencyKey,
    },
    body: JSON.stringify(body),
  });
  const { id, code } = (await response.json()) as { id?: string; code?: string };
  if (id === undefined) return [code!];
  return [response.headers.has('idempotent-replayed') ? 'replayed' : 'created', id];
}

const OWN = ['127.0.0.1', '192.0.2.0/24'];
const said = { name: 'Said', scopes: ['triggers:read'] };

async function newMaker(allowedIps: string[] = OWN) {
  const { id, key } = await ada.client.apiKeys.create({
    body: { name: 'Maker', scopes: ['api-keys:manage', 'triggers:read'], allowed_ips: allowedIps },
  });
  const setAddresses = (ips: string[]) =>
    ada.client.apiKeys.update({ params: { id }, body: { allowed_ips: ips, name: `Maker of ${ips.length}` } });
  return { key, setAddresses };
}

/** Addresses that cover the first ones, so that the key could still make the call. */
const wider: string[][] = [[], ['127.0.0.0/8', '192.0.2.0/24'], ['0.0.0.0/0', '::/0'], [...OWN, '198.51.100.7']];

describe('a creation by a key whose addresses have changed since', () => {
  it('is repeated for the same bytes and for its first defaults written out, and for nothing else', async () => {
    const defaults = { allowed_ips: OWN, environment: 'test', rate_limits: [], metadata: {}, description: null };
    await expectHolds(
      fc.asyncProperty(
        fc.constantFrom(...wider),
        fc.subarray(Object.entries(defaults)),
        fc.constantFrom<object>(
          { name: 'Other' },
          { allowed_ips: ['127.0.0.1'] },
          { rate_limits: [{ name: 'a', limit: 1, window_seconds: 1 }] },
          { description: 'x' },
          { scopes: ['triggers:write'] },
        ),
        async (addresses, some, other) => {
          const { key, setAddresses } = await newMaker();
          const idempotencyKey = newIdempotencyKey();
          const [how, id] = await post(key, idempotencyKey, said);
          expect(how).toBe('created');
          await setAddresses(addresses);
          expect(await post(key, idempotencyKey, said)).toEqual(['replayed', id]);
          expect(await post(key, idempotencyKey, { ...said, ...Object.fromEntries(some) })).toEqual(['replayed', id]);
          for (const different of [other, { allowed_ips: addresses }]) {
            expect(await post(key, idempotencyKey, { ...said, ...different })).toEqual(['idempotency_key_reused']);
          }
        },
      ),
      12,
    );
  });

  it('is another request without the addresses that it named, even if they are the default by now', async () => {
    const { key, setAddresses } = await newMaker();
    const idempotencyKey = newIdempotencyKey();
    const [, id] = await post(key, idempotencyKey, { ...said, allowed_ips: ['127.0.0.1'] });
    await setAddresses(['127.0.0.1']);
    // When it was first sent, leaving the addresses out meant others.
    expect(await post(key, idempotencyKey, said)).toEqual(['idempotency_key_reused']);
    await setAddresses(OWN);
    expect(await post(key, idempotencyKey, { ...said, allowed_ips: ['127.0.0.1'] })).toEqual(['replayed', id]);
  });

  it('is refused if the key could no longer make it, and another request is refused as another one', async () => {
    const { key, setAddresses } = await newMaker();
    const idempotencyKey = newIdempotencyKey();
    await post(key, idempotencyKey, said);
    await setAddresses(['127.0.0.1']);
    expect(await post(key, idempotencyKey, said)).toEqual(['beyond_authority']);
    expect(await post(key, idempotencyKey, { ...said, name: 'Other' })).toEqual(['idempotency_key_reused']);
  });

  it('is made with the present addresses if the first attempt died, and is then compared under these', async () => {
    const { key, setAddresses } = await newMaker();
    const idempotencyKey = newIdempotencyKey();
    await post(key, idempotencyKey, said);
    await deployment.sql.query(
      "UPDATE idempotency_key SET response = NULL, started_at = now() - interval '61 seconds' WHERE key = $1",
      [idempotencyKey],
    );
    const present = ['127.0.0.0/8'];
    await setAddresses(present);
    const [how, id] = await post(key, idempotencyKey, said);
    expect(how).toBe('created');
    expect((await ada.client.apiKeys.get({ params: { id: id! } })).allowed_ips).toEqual(present);
    expect(await post(key, idempotencyKey, { ...said, allowed_ips: present })).toEqual(['replayed', id]);
    expect(await post(key, idempotencyKey, { ...said, allowed_ips: OWN })).toEqual(['idempotency_key_reused']);
  });
});

it('a rotation by a key of itself is repeated after its limits have changed', async () => {
  const body = { name: 'Itself', scopes: ['api-keys:manage'], allowed_ips: OWN };
  const limits = [{ name: 'per-day', limit: 5, window_seconds: 86_400 }];
  const { id, key } = await ada.client.apiKeys.create({ body: { ...body, rate_limits: limits } });
  const headers = { 'idempotency-key': newIdempotencyKey() };
  const rotate = () =>
    deployment
      .client({ apiKey: key })
      .apiKeys.rotate({ params: { id }, headers, body: { grace_period_seconds: 3600 } });
  const { rotated_at: rotatedAt } = await rotate();
  await ada.client.apiKeys.update({
    params: { id },
    body: { allowed_ips: [], rate_limits: [], scopes: ['api-keys:manage', 'triggers:read'] },
  });
  expect((await rotate()).rotated_at).toBe(rotatedAt);
});

it('a creation by a user is repeated after the deployment has another default environment', async () => {
  const idempotencyKey = newIdempotencyKey();
  const [, id] = await post(ada.accessToken, idempotencyKey, said);
  await deployment.restartApi({ DEFAULT_KEY_ENVIRONMENT: 'live' });
  expect(await post(ada.accessToken, idempotencyKey, said)).toEqual(['replayed', id]);
  expect(await post(ada.accessToken, idempotencyKey, { ...said, environment: 'test' })).toEqual(['replayed', id]);
  expect(await post(ada.accessToken, idempotencyKey, { ...said, environment: 'live' })).toEqual([
    'idempotency_key_reused',
  ]);
});
