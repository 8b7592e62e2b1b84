import { afterAll, beforeAll, expect, it } from '@jest/globals';
import pLimit from 'p-limit';
import { generateToken } from '#libs/api-key-format/token.js';
import { createClient } from '#libs/client/client.js';
import { toUuid } from '#libs/contract/ids.js';
import { openCustomer } from './ledger.js';
import { startProcesses, type Processes } from './processes.js';

const CACHE_MB = 16;
/** Node ends a process that needs more. Without any key, the process needs about half of this. */
const HEAP_MB = 160;
/**
 * Each key takes some 54 kB in memory. All of them exceed the heap, but not the number of entries that a cache may
 * have.
 */
const KEYS = 2_000;

let deployment: Processes;
let url: string;
let publicKeys: string[];

beforeAll(async () => {
  deployment = await startProcesses({
    apis: 1,
    env: { CACHE_MB: String(CACHE_MB), NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}` },
  });
  ({ url } = deployment.apis[0]!);
  const { accessToken } = await openCustomer(url);
  const { apiKeys } = createClient({ baseUrl: url, accessToken });
  const metadata = Object.fromEntries(
    Array.from({ length: 45 }, (_, at) => [`field-${at}-`.padEnd(40, 'x'), 'я'.repeat(500)]),
  );
  const { id } = await apiKeys.create({ body: { name: 'Large', scopes: ['triggers:read'], metadata } });
  publicKeys = Array.from({ length: KEYS }, () => generateToken('pk_test'));
  await copy(id);
});

afterAll(() => deployment.stop());

/** Inserts the keys directly into the database, each with its own metadata. */
async function copy(id: string): Promise<void> {
  const { rows } = await deployment.sql.query<{ column_name: string }>(
    `SELECT column_name FROM information_schema.columns
     WHERE table_name = 'api_key' AND is_generated = 'NEVER' AND is_identity = 'NO'`,
  );
  const columns = rows.map(({ column_name: name }) => name).filter((name) => name !== 'number');
  const values = columns.map((name) => {
    if (name === 'id') return 'gen_random_uuid()';
    if (name === 'public_key') return 'n.key';
    if (name === 'metadata') return `k.metadata || jsonb_build_object('its own', n.key)`;
    return `k.${name}`;
  });
  await deployment.sql.query(
    `INSERT INTO api_key (${columns.join(', ')})
     SELECT ${values.join(', ')} FROM api_key k, unnest($2::text[]) AS n (key) WHERE k.id = $1`,
    [toUuid(id), publicKeys],
  );
}

it('a process with little memory survives any number of the largest keys', async () => {
  const ask = async (publicKey: string) => {
    // The public key is rejected without an origin, but the API has to read the key first.
    const response = await fetch(`${url}/authz`, { headers: { authorization: `Bearer ${publicKey}` } });
    return response.headers.get('x-authz-code');
  };
  const limit = pLimit(8);
  const codes = await Promise.all(
    publicKeys.map((publicKey) => limit(() => ask(publicKey).catch(() => 'no response'))),
  );
  expect(deployment.failures).toEqual([]);
  expect(new Set(codes)).toEqual(new Set(['origin_not_allowed']));
  // The API reads an evicted key again.
  expect(await ask(publicKeys[0]!)).toBe('origin_not_allowed');
});
