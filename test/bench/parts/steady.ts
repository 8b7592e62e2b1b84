import { setTimeout as sleep } from 'node:timers/promises';
import { outboxDepth } from '#libs/outbox/outbox-depth.js';
import type { Bench } from '../bench.ts';
import { progress, type Result } from '../report.ts';

const ASKED_A_SECOND = 10_000;
const LOOK_EACH_MS = 2_000;
/** The outbox grew if the mean age of the oldest batch rises by more than this between the halves. */
const GROWN_SECONDS = 1;

/** Runs everything at once on two cores: does the worker keep up with the API? */
export async function measureSteadyState(bench: Bench): Promise<Result> {
  const { sql } = bench.deployment;
  const rows: { 'after s': number; 'batches waiting': number; 'oldest s': number }[] = [];
  const meanwhile = async (ended: AbortSignal) => {
    const startedAt = performance.now();
    for (;;) {
      await sleep(LOOK_EACH_MS);
      if (ended.aborted) return;
      const { batches, age } = await outboxDepth(sql);
      rows.push({
        'after s': Math.round((performance.now() - startedAt) / 1000),
        'batches waiting': batches,
        'oldest s': age,
      });
      progress(`Steady state: ${batches} batches are waiting, the oldest for ${age.toFixed(1)} s`);
    }
  };
  await bench.warmUp(bench.authz);
  progress(`Steady state: ${ASKED_A_SECOND} verifications a second asked for`);
  const run = await bench.pace({ ...bench.authz, meanwhile }, ASKED_A_SECOND, bench.amounts.longSeconds);
  const ages = rows.map((row) => row['oldest s']);
  const middle = Math.floor(ages.length / 2);
  const grown = mean(ages.slice(middle)) - mean(ages.slice(0, middle));
  return {
    rows,
    figures: [
      { what: 'verified and recorded', value: run.ok / run.seconds, unit: 'a second' },
      { what: 'p50', value: run.p50, unit: 'ms' },
      { what: 'p99', value: run.p99, unit: 'ms' },
      { what: 'from the last response until all is in the audit log', value: run.drainedSeconds, unit: 's' },
    ],
    notes: [
      grown > GROWN_SECONDS ? 'The outbox grew: the worker does not keep up.' : 'The outbox did not grow.',
      ...(run.unsent > 0 ? [`${run.unsent} requests were due and could not be sent in time.`] : []),
    ],
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
