import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { toUuid } from '#libs/contract/ids.js';
import { startProcesses, type Processes } from '../faults/processes.js';
import { openCustomer, type Customer } from '../faults/ledger.js';
import { eventually } from '../support/eventually.js';
import { withOtherSecret } from '../support/tokens.js';
import { createClient } from '#libs/client/client.js';

let deployment: Processes;
let customer: Customer;
let one: string;
let other: string;

beforeAll(async () => {
  deployment = await startProcesses({ apis: 2 });
  [one, other] = deployment.apis.map(({ url }) => url) as [string, string];
  customer = await openCustomer(one);
});

afterAll(() => deployment.stop());

const manage = (url = one) => createClient({ baseUrl: url, accessToken: customer.accessToken }).apiKeys;
const newKey = () => manage().create({ body: { name: 'Known', scopes: ['triggers:read'] } });
const ask = async (url: string, key: string) => {
  const response = await fetch(`${url}/authz?scope=triggers:read`, { headers: { 'x-api-key': key } });
  return response.headers.get('x-authz-code');
};

describe('a key that a node knows', () => {
  it('is verified without reading it again, and recorded', async () => {
    const { id, key } = await newKey();
    expect(await ask(one, key)).toBe('valid');
    const blocker = await deployment.sql.connect();
    try {
      await blocker.query('BEGIN; LOCK TABLE api_key, api_key_secret, organization IN ACCESS EXCLUSIVE MODE');
      for (let use = 0; use < 5; use++) expect(await ask(one, key)).toBe('valid');
    } finally {
      await blocker.query('ROLLBACK');
      blocker.release();
    }
    const read = () => manage().get({ params: { id } });
    expect((await eventually(read, ({ usage_count }) => usage_count >= 6)).usage_count).toBe(6);
  });

  it('is rejected by every node as soon as it is disabled, and accepted as soon as it is enabled', async () => {
    const { id, key } = await newKey();
    const both = async () => [await ask(one, key), await ask(other, key)];
    for (let round = 0; round < 5; round++) {
      const [here, there] = round % 2 ? [one, other] : [other, one];
      expect(await both()).toEqual(['valid', 'valid']);
      await manage(here).disable({ params: { id } });
      expect(await both()).toEqual(['disabled', 'disabled']);
      await manage(there).enable({ params: { id } });
    }
  });

  it('is rejected by every node as soon as a call revoked it among others', async () => {
    const keys = [await newKey(), await newKey()];
    const everywhere = () => Promise.all(keys.flatMap(({ key }) => [ask(one, key), ask(other, key)]));
    expect(new Set(await everywhere())).toEqual(new Set(['valid']));
    const ids = keys.map(({ id }) => id);
    const body = { organization_id: customer.organizationId, action: 'revoke' as const, ids };
    const { confirmation } = await manage(one).previewBulkChange({ body });
    // A confirmation is good on every node.
    await manage(other).changeInBulk({ body: { ...body, confirmation: confirmation! } });
    expect(new Set(await everywhere())).toEqual(new Set(['revoked']));
  });

  it('has its latest scopes on every node', async () => {
    const { id, key } = await newKey();
    expect([await ask(one, key), await ask(other, key)]).toEqual(['valid', 'valid']);
    await manage(one).update({ params: { id }, body: { scopes: ['events:read'] } });
    expect([await ask(other, key), await ask(one, key)]).toEqual(['insufficient_scope', 'insufficient_scope']);
    await manage(other).update({ params: { id }, body: { scopes: ['triggers:*'] } });
    expect([await ask(one, key), await ask(other, key)]).toEqual(['valid', 'valid']);
  });
});

describe('a node that has just started', () => {
  it('verifies keys that another node knows without a run of Argon2id for each, and rejects a wrong secret', async () => {
    const { id, key } = await newKey();
    expect(await ask(one, key)).toBe('valid');
    const digest = async () => {
      const { rows } = await deployment.sql.query<{ digest: Buffer | null }>(
        'SELECT digest FROM api_key_secret WHERE api_key_id = $1',
        [toUuid(id)],
      );
      return rows[0]!.digest;
    };
    expect(await eventually(digest, Boolean)).toHaveLength(36);
    // Argon2id can no longer accept the secret.
    await deployment.sql.query("UPDATE api_key_secret SET hash = '$argon2id$' WHERE api_key_id = $1", [toUuid(id)]);
    await deployment.apis[1]!.killAndRestart();
    await deployment.apis[1]!.ready;
    expect(await ask(other, key)).toBe('valid');
    expect(await ask(other, withOtherSecret(key))).toBe('invalid_key');
  });

  it('runs Argon2id if the digest was made with another KEYLEDGER_SECRET', async () => {
    const { id, key } = await newKey();
    await deployment.sql.query('UPDATE api_key_secret SET digest = $2 WHERE api_key_id = $1', [
      toUuid(id),
      Buffer.alloc(36, 7),
    ]);
    expect(await ask(other, key)).toBe('valid');
    expect(await ask(other, withOtherSecret(key))).toBe('invalid_key');
  });
});
