import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { startDeployment, startWorker } from '../support/deployment.js';
import { event, put } from '../support/events.js';
import { eventually } from '../support/eventually.js';

const AT_ONCE = 20;

it('a worker stops on request although events keep arriving, and leaves the rest to another', async () => {
  const deployment = await startDeployment({ worker: false });
  const { organizationId } = await deployment.account();
  const isEnough = new AbortController();
  let sent = 0;
  const feed = async () => {
    const some = () =>
      Array.from({ length: AT_ONCE }, () => event(organizationId, { type: 'test.happened', subject: 'test' }));
    for (; !isEnough.signal.aborted; sent += AT_ONCE) await put(deployment, organizationId, some());
  };
  const recorded = async () => {
    const sql = "SELECT count(*)::int AS n FROM audit_management_event WHERE type = 'test.happened'";
    return (await deployment.sql.query<{ n: number }>(sql)).rows[0]!.n;
  };

  const worker = await startWorker(deployment.database);
  const feeding = feed();
  expect(await eventually(recorded, (n) => n > 10 * AT_ONCE)).toBeGreaterThan(10 * AT_ONCE);
  const ended = worker.close().then(() => 'ended');
  expect(await Promise.race([ended, sleep(5_000, 'goes on', { ref: false })])).toBe('ended');
  isEnough.abort();
  await feeding;

  const other = await startWorker(deployment.database);
  expect(await eventually(recorded, (n) => n === sent)).toBe(sent);
  await other.close();
  await deployment.stop();
});
