import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import pLimit from 'p-limit';
import { generateToken } from '#libs/api-key-format/token.js';
import { createClient } from '#libs/client/client.js';
import { toUuid } from '#libs/contract/ids.js';
import { leftOut } from '../support/left-out.js';
import { openCustomer } from './ledger.js';
import { startProcesses, type Processes } from './processes.js';

/** By entries alone the caches would hold all of them, with the metadata as objects more than ten times the bound. */
const KEYS = 4_000;
const CACHE_MB = 32;
const HEAP_MB = 192;
/** What the process needs besides, the garbage that is not collected yet, and the buffers of the connections. */
const MAY_GROW_MB = CACHE_MB + 100;
const PAGE_BYTES = 4096;

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
    Array.from({ length: 50 }, (_, at) => [`field-${at}-`.padEnd(40, 'x'), 'y'.repeat(320)]),
  );
  const like = await apiKeys.create({ body: { name: 'Large', scopes: ['triggers:read'], metadata } });
  publicKeys = Array.from({ length: KEYS }, () => generateToken('pk_test'));
  await copy(like.id);
});

afterAll(() => deployment.stop());

/** Keys straight into the database, each with metadata of its own. */
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

it('the largest keys, as many as there are, take no more memory than the caches may have', async () => {
  if (!existsSync('/proc/self/statm')) return leftOut('the memory of a cache', 'run the tests on Linux');
  const resident = async () => {
    const [, pages] = (await readFile(`/proc/${deployment.apis[0]!.pid}/statm`, 'utf8')).split(' ');
    return (Number(pages) * PAGE_BYTES) / 2 ** 20;
  };
  const ask = async (publicKey: string) => {
    // Without an origin it is good for nothing, but to be known it has to be read.
    const response = await fetch(`${url}/authz`, { headers: { authorization: `Bearer ${publicKey}` } });
    return response.headers.get('x-authz-code');
  };
  for (const publicKey of publicKeys.slice(0, 100)) await ask(publicKey);
  const before = await resident();
  const limit = pLimit(8);
  let most = before;
  const codes = await Promise.all(
    publicKeys.map((publicKey, at) =>
      limit(async () => {
        if (at % 100 === 0) most = Math.max(most, await resident());
        return ask(publicKey);
      }),
    ),
  );
  process.stderr.write(`${KEYS} keys: from ${Math.round(before)} MiB by ${Math.round(most - before)} MiB\n`);
  expect(new Set(codes)).toEqual(new Set(['origin_not_allowed']));
  expect(deployment.failures).toEqual([]);
  expect(most - before).toBeLessThan(MAY_GROW_MB);
  // What was driven out is read again.
  expect(await ask(publicKeys[0]!)).toBe('origin_not_allowed');
});
