import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { validate, version } from 'uuid';
import { recordsOf } from '#libs/outbox/batches.js';
import type * as platform from '#libs/platform/clock.js';
import { builtModule } from '../support/built-module.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';

const { DatabaseClock } = await builtModule<typeof platform>('#libs/platform/clock.js');
/** That of the API, which is not the one of this file. */
const ProcessDate = new DatabaseClock().now().constructor as DateConstructor;
const { now } = ProcessDate;
let deployment: Deployment;
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  ada = await deployment.account();
});

afterEach(() => {
  ProcessDate.now = now;
});

afterAll(() => deployment.stop());

/** The ids of the batches that wait, and by how many milliseconds each is ahead of the database's clock. */
async function waiting(): Promise<{ id: string; ahead: number }[]> {
  const { rows } = await deployment.sql.query<{ id: string; ahead: number }>(
    `SELECT id, ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint - extract(epoch FROM now())::float8 * 1000 AS ahead
     FROM outbox ORDER BY id`,
  );
  return rows;
}

it('changes keep their order in the audit log, although the clock of an API process is ahead', async () => {
  await deployment.sql.query('DELETE FROM outbox');
  const { id } = await ada.client.projects.create({ body: { name: 'First' } });
  ProcessDate.now = () => now() + 60_000;
  for (const name of ['Second', 'Third']) await ada.client.projects.update({ params: { id }, body: { name } });
  const batches = await waiting();
  expect(batches.length).toBe(3);
  for (const { id, ahead } of batches) {
    expect([validate(id), version(id)]).toEqual([true, 7]);
    // By the clock of the process, it would be a minute ahead.
    expect(ahead).toBeLessThan(1);
  }
  const { rows } = await deployment.sql.query<{ text: string }>(
    `SELECT convert_from(substring(body FROM 3), 'UTF8') AS text FROM outbox ORDER BY id`,
  );
  expect(rows.map(({ text }) => /"after":"(\w+)"/.exec(text)?.[1])).toEqual([undefined, 'Second', 'Third']);
});

it('requests that follow each other keep their order in the audit log, charged or not, accepted or not', async () => {
  const create = (body: object) =>
    ada.client.apiKeys.create({ body: { name: 'Ordered', scopes: ['triggers:read'], ...body } });
  const plain = await create({});
  const limited = await create({ rate_limits: [{ name: 'all', limit: 1_000, window_seconds: 60 }] });
  const disabled = await create({});
  await ada.client.apiKeys.disable({ params: { id: disabled.id } });
  const ask = async ({ key }: { readonly key: string }) =>
    (await fetch(`${deployment.url}/authz`, { headers: { 'x-api-key': key } })).status;
  await deployment.sql.query('DELETE FROM outbox');
  // The order does not rest on the clock of the process either, which goes back here.
  let clock = now();
  ProcessDate.now = () => (clock -= 1);
  const rounds = 10;
  for (let round = 0; round < rounds; round++) {
    expect([await ask(plain), await ask(limited), await ask(disabled)]).toEqual([200, 200, 401]);
  }
  const { rows } = await deployment.sql.query<{ version: number; body: Buffer }>(
    'SELECT version, body FROM outbox ORDER BY id',
  );
  const subjects = rows.flatMap((batch) => recordsOf(batch).map((record) => record.read().envelope.subject));
  expect(subjects).toEqual(Array.from({ length: rounds }, () => [plain.id, limited.id, disabled.id]).flat());
});
