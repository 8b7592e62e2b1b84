import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import type { Bench } from '../bench.ts';
import type { Key } from '../keys.ts';
import { hasProc, residentMegabytes } from '../proc.ts';
import { progress, type Result } from '../report.ts';

const PAUSE_MS = 10_000;
const GOAL_MB = 260;
/** Few, because each request waits for a query. */
const AT_ONCE = 20;

/** Measures an API that has verified each of many keys once, and nothing else. */
export async function measureMemory(bench: Bench): Promise<Result> {
  if (!hasProc) return { figures: [], notes: ['Left out: this system does not tell of its processes as Linux does.'] };
  const { deployment, amounts } = bench;
  const { customers, processes } = deployment;
  progress(`Memory: ${amounts.cachedKeys} keys into the database`);
  const each = Math.ceil(amounts.cachedKeys / customers.length);
  const keys: Key[] = [];
  for (const { keys: own } of customers) keys.push(...(await deployment.copyKeys(own[0]!, each)));
  const { child, url } = await deployment.startApi();
  const before = residentMegabytes(child.pid!).now;
  progress('Memory: each used once');
  const limit = pLimit(AT_ONCE);
  const useOne = async ({ token }: Key) => {
    const { status } = await fetch(`${url}/authz`, { headers: { 'x-api-key': token } });
    if (status !== 200) throw new Error(`A key was refused: ${status}`);
  };
  await limit.map(keys, useOne);
  const after = residentMegabytes(child.pid!).now;
  await sleep(PAUSE_MS);
  const { now, highest } = residentMegabytes(child.pid!);
  await processes.stop(child);
  return {
    figures: [
      { what: 'resident, just started', value: before, unit: 'MB' },
      { what: `resident, right after ${keys.length} keys`, value: after, unit: 'MB' },
      { what: `resident, ${PAUSE_MS / 1000} s later`, value: now, unit: 'MB', goal: { atMost: GOAL_MB } },
      { what: 'resident, at its highest', value: highest, unit: 'MB' },
    ],
  };
}
