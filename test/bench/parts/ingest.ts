import type { Bench } from '../bench.ts';
import { REST_CORE, SERVER_CORE } from '../processes.ts';
import { progress, type Figure, type Result } from '../report.ts';

const GOAL = { atLeast: 40_000 };
const FILL_SECONDS = 5;

/** The API fills the outbox while the worker is paused; then the worker continues and empties it. */
export async function measureIngest(bench: Bench): Promise<Result> {
  const { deployment, authz, amounts } = bench;
  const placed = [
    { core: REST_CORE, what: 'outbox to audit log, one worker on the core of PostgreSQL' },
    { core: SERVER_CORE, what: 'outbox to audit log, one worker on the other core, the API idle' },
  ];
  const figures: Figure[] = [];
  for (const { core, what } of placed) {
    deployment.pinWorker(core);
    progress(`${what}: warming up`);
    await bench.warmUp(authz);
    const { ok, seconds } = await deployment.auditLog.requireEach(async () => {
      deployment.holdWorker();
      progress(`${what}: filling the outbox with ${amounts.events} uses`);
      let ok = 0;
      let cutOff = 0;
      while (ok < amounts.events) {
        const run = await bench.run({ ...authz, isRecorded: false }, FILL_SECONDS);
        ok += run.ok;
        cutOff += run.cutOff;
      }
      progress(`${what}: emptying it`);
      const startedAt = performance.now();
      deployment.letWorkerGoOn();
      await deployment.auditLog.emptied();
      return { ok, cutOff, seconds: (performance.now() - startedAt) / 1000 };
    });
    figures.push({ what, value: ok / seconds, unit: 'events a second', goal: GOAL });
  }
  deployment.pinWorker(REST_CORE);
  return { figures };
}
