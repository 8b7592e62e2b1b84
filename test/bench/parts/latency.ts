import type { Bench } from '../bench.ts';
import { median, progress, type Result } from '../report.ts';

type Paced = Awaited<ReturnType<Bench['pace']>>;

/** Rounds are longer by this factor, because half the load gives half as many samples in the same time. */
const LONGER = 2;

const COLUMNS = ['server', 'API', 'worker', 'PostgreSQL'];

/** Microseconds for a request; 0 of a process that has no part in it. */
function cpuOf(own: readonly Paced[], process: string): number {
  return median(own.map(({ cpuMicroseconds }) => cpuMicroseconds[process] ?? 0));
}

export async function measureLatency(bench: Bench): Promise<Result> {
  const { rounds, seconds } = bench.amounts;
  const rate = await bench.halfLoad();
  const fastify = await bench.fastify;
  for (const subject of [fastify, bench.authz]) await bench.warmUp(subject);
  const bare: Paced[] = [];
  const ours: Paced[] = [];
  for (let round = 1; round <= rounds; round++) {
    progress(`Latency at ${rate}/s: round ${round} of ${rounds}`);
    bare.push(await bench.pace(fastify, rate, LONGER * seconds));
    ours.push(await bench.pace(bench.authz, rate, LONGER * seconds));
  }
  const row = (subject: string, own: readonly Paced[]) => ({
    subject,
    'asked/s': rate,
    'p50 ms': median(own.map(({ p50 }) => p50)),
    'p99 ms': median(own.map(({ p99 }) => p99)),
    'p50 of the generator': median(own.map(({ ownP50 }) => ownP50)),
    'p99 of the generator': median(own.map(({ ownP99 }) => ownP99)),
    ...Object.fromEntries(COLUMNS.map((name) => [`${name} µs`, cpuOf(own, name)])),
    'not sent in time': own.reduce((sum, { unsent }) => sum + unsent, 0),
  });
  const added = (of: 'p50' | 'p99') => median(ours.map((measured, round) => measured[of] - bare[round]![of]));
  return {
    rows: [row('fastify', bare), row('/authz', ours)],
    figures: [
      { what: 'added by /authz, p50', value: added('p50'), unit: 'ms', goal: { atMost: 1.5 } },
      { what: 'added by /authz, p99', value: added('p99'), unit: 'ms', goal: { atMost: 15 } },
    ],
  };
}
