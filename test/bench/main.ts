import { parseArgs } from 'node:util';
import { Bench } from './bench.ts';
import { Deployment } from './deployment.ts';
import { describeMachine } from './machine.ts';
import { measureChanges } from './parts/changes.ts';
import { measureCpu } from './parts/cpu.ts';
import { measureIngest } from './parts/ingest.ts';
import { measureLatency } from './parts/latency.ts';
import { measureMemory } from './parts/memory.ts';
import { measureSteadyState } from './parts/steady.ts';
import { measureThroughput } from './parts/throughput.ts';
import { print, printResult, progress, type Result } from './report.ts';

/*
 * What a verified, durably recorded request costs, side by side with the bare web framework in one run, so that the ratio
 * means something on any machine. The server measured has core 0; PostgreSQL, the worker and the load generator share
 * core 1. Each use that was answered with yes has to be in the audit log afterwards, or the run fails; goals fail nothing.
 *
 *   authz    responses a second, as fast as they come: bare `fastify()`, Nest, `whoami`, `/authz`, and `/authz` while ten
 *            keys a second are revoked; medians of rounds by turns
 *   peers    the same of Better Auth's verification, which writes no audit log
 *   latency  what `/authz` adds to bare `fastify()`, both asked at half of what `/authz` can
 *   changes  how long a change of a key takes while others are verified at that rate
 *   ingest   how fast one worker brings into the audit log what waits in the outbox
 *   steady   10,000 verifications a second asked for, and whether the worker keeps up
 *   memory   of an API that has 100,000 keys in its cache
 *   cpu      CPU time of a request in the API, the worker and PostgreSQL
 */
const PARTS = {
  authz: measureThroughput,
  peers: measureThroughput,
  latency: measureLatency,
  changes: measureChanges,
  ingest: measureIngest,
  steady: measureSteadyState,
  cpu: measureCpu,
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
