import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from '../bench.ts';
import { REST_CORE, SERVER_CORE } from '../processes.ts';
import { progress, type Figure, type Result } from '../report.ts';

const SETTLE_MS = 1_000;
const GOAL = { atLeast: 40_000 };

/** What waits was written by the API, with no worker running; then one begins, and empties the inbox. */
export async function measureIngest(bench: Bench): Promise<Result> {
  const { deployment } = bench;
  const placed = [
    { core: REST_CORE, what: 'inbox to trail, one worker on the core of PostgreSQL' },
    { core: SERVER_CORE, what: 'inbox to trail, one worker on the other core, the API idle' },
  ];
  const figures: Figure[] = [];
  await deployment.trail.emptied();
  await deployment.stopWorker();
  for (const { core, what } of placed) {
    const fill = async () => {
      progress(`${what}: filling the inbox with ${bench.amounts.events} uses`);
      const { ok } = await bench.run({ ...bench.authz, isRecorded: false }, bench.amounts.events);
      progress(`${what}: emptying it`);
      return { ok, seconds: await emptyingSeconds(bench, core) };
    };
    const { ok, seconds } = await deployment.trail.requireEach(fill);
    figures.push({ what, value: ok / seconds, unit: 'events a second', goal: GOAL });
    await deployment.stopWorker();
  }
  await deployment.startWorker(REST_CORE);
  return { figures };
}

/** From when a worker that is up and running may see what waits: nothing can be read while the lock is held. */
async function emptyingSeconds({ deployment }: Bench, core: string): Promise<number> {
  const { sql, trail } = deployment;
  await sql.query('BEGIN; LOCK TABLE event_batch IN ACCESS EXCLUSIVE MODE');
  await deployment.startWorker(core);
  await sleep(SETTLE_MS);
  const startedAt = performance.now();
  await sql.query('COMMIT');
  await trail.emptied();
  return (performance.now() - startedAt) / 1000;
}
