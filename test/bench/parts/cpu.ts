import type { Bench } from '../bench.ts';
import { cpuSeconds, hasProc } from '../proc.ts';
import { progress, type Result } from '../report.ts';

/** Measures until the audit log is complete: the later work of worker and PostgreSQL is a part of a request's cost. */
export async function measureCpu(bench: Bench): Promise<Result> {
  const postgres = hasProc ? await bench.deployment.postgresPid() : undefined;
  if (postgres === undefined) return { figures: [], notes: ['Left out: the processes cannot be seen from here.'] };
  const { deployment, amounts } = bench;
  const processes = { api: deployment.apiPid, worker: deployment.workerPid, postgresql: postgres };
  const rate = await bench.halfLoad();
  const loads = [
    { load: 'as fast as it goes', run: () => bench.run(bench.authz, rate * amounts.longSeconds) },
    { load: `${rate}/s`, run: () => bench.pace(bench.authz, rate, amounts.longSeconds / 2) },
  ];
  const rows: Record<string, string | number>[] = [];
  for (const { load, run } of loads) {
    progress(`CPU time of a request, ${load}`);
    const before = Object.values(processes).map(cpuSeconds);
    const { ok } = await run();
    const own = Object.entries(processes).map(([name, pid], index): [string, number] => [
      `${name} µs`,
      ((cpuSeconds(pid) - before[index]!) / ok) * 1e6,
    ]);
    rows.push({ load, ...Object.fromEntries(own), 'together µs': own.reduce((sum, [, value]) => sum + value, 0) });
  }
  return { rows, figures: [], notes: ['PostgreSQL with all its processes, those that write behind included.'] };
}
