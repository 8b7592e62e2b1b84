import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { validate, version } from 'uuid';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';

let deployment: Deployment;
let ada: Account;
const now = Date.now.bind(Date);

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  ada = await deployment.account();
});

afterEach(() => {
  Date.now = now;
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
  Date.now = () => now() + 60_000;
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
