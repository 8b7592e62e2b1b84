import { parseArgs } from 'node:util';
import { Bench } from './bench.ts';
import { Deployment } from './deployment.ts';
import { describeMachine } from './machine.ts';
import { measureAudit } from './parts/audit.ts';
import { measureChanges } from './parts/changes.ts';
import { measureIngest } from './parts/ingest.ts';
import { measureLatency } from './parts/latency.ts';
import { measureMemory } from './parts/memory.ts';
import { measureProofs } from './parts/proofs.ts';
import { measureSteadyState } from './parts/steady.ts';
import { measureThroughput } from './parts/throughput.ts';
import { print, printResult, progress, type Result } from './report.ts';

/*
 * Measures the cost of a verified, durably recorded request. The bare web framework is measured in the same run, so
 * that the ratio is meaningful on any machine. The measured server has core 0; PostgreSQL, the worker and the load
 * generator share core 1. The run fails if an accepted use is missing in the audit log afterwards; a missed goal fails
 * nothing.
 *
 *   authz    responses a second at full speed, by `wrk`, and CPU time: bare `fastify()` and `node:http`, `/authz`, also
 *            while ten keys a second are revoked, `POST …/verify`, `whoami`; medians of alternating rounds
 *   peers    the same for Better Auth, and for nginx with Lua and Redis: both write no audit log
 *   latency  the time that `/authz` adds to bare `fastify()`, both at half of the maximum rate of `/authz`; CPU time
 *   changes  the time of a change of a key while others are verified at that rate
 *   ingest   how fast one worker ingests a filled outbox
 *   audit    for three profiles of uses: ingestion by one worker, disk bytes for each use, pages and export of the log
 *   proofs   the verification of a whole log by the command line, inclusion proofs, checkpoints of changed logs
 *   steady   10,000 requested verifications a second, and whether the worker keeps up
 *   memory   the memory of an API with 100,000 keys in its cache
 */
const PARTS = {
  authz: measureThroughput,
  peers: measureThroughput,
  latency: measureLatency,
  changes: measureChanges,
  ingest: measureIngest,
  audit: measureAudit,
  proofs: measureProofs,
  steady: measureSteadyState,
  memory: measureMemory,
} satisfies Record<string, (bench: Bench, parts: ReadonlySet<string>) => Promise<Result>>;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: Object.keys(PARTS).join(',') },
    rounds: { type: 'string', default: '3' },
    duration: { type: 'string', default: '3' },
    connections: { type: 'string', default: '32,128,256' },
    long: { type: 'string', default: '20' },
    events: { type: 'string', default: '200000' },
    keys: { type: 'string', default: '100000' },
    json: { type: 'boolean', default: false },
  },
});
const asked = new Set(options.only.split(','));
for (const name of asked) if (!Object.hasOwn(PARTS, name)) throw new Error(`There is no part ${name}`);

progress('Starting PostgreSQL, the API and the worker, making keys');
const deployment = await Deployment.open();
try {
  await deployment.start();
  const bench = new Bench(deployment, {
    seconds: Number(options.duration),
    rounds: Number(options.rounds),
    connections: options.connections.split(',').map(Number),
    longSeconds: Number(options.long),
    events: Number(options.events),
    cachedKeys: Number(options.keys),
  });
  const machine = await describeMachine(deployment, bench.amounts);
  if (!options.json) for (const [name, value] of Object.entries(machine)) print(`${`${name}:`.padEnd(20)}${value}`);
  const results: Record<string, Result> = {};
  const done = new Set<unknown>();
  for (const [name, measure] of Object.entries(PARTS)) {
    if (!asked.has(name) || done.has(measure)) continue;
    done.add(measure);
    const result = await measure(bench, asked);
    if (!options.json) printResult(name, result);
    results[name] = result;
  }
  if (options.json) print(JSON.stringify({ machine, results }, null, 2));
} finally {
  await deployment.close();
}
