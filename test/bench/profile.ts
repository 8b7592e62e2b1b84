import { readdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Bench } from './bench.ts';
import { Deployment } from './deployment.ts';
import { flameGraph } from './flame-graph.ts';
import { autovacuums, forgetStatements, MEASURED_SERVER, SessionTimes, statements } from './postgres-time.ts';
import { printResult, progress } from './report.ts';

/*
 * Shows where the time of a use goes: a flame graph of the API and one of the worker, as SVG, and the time of PostgreSQL
 * by process and by statement. The profiler makes both slower, so figures to compare come from `main.ts`.
 */

const { values: options } = parseArgs({
  options: {
    subject: { type: 'string', default: 'authz' },
    connections: { type: 'string', default: '128' },
    duration: { type: 'string', default: '10' },
    output: { type: 'string', default: 'docs/profiles' },
  },
});

const profiles = await mkdtemp(join(tmpdir(), 'keyledger-profiles-'));
const deployment = await Deployment.open({ profiles, settings: MEASURED_SERVER });
try {
  progress('Starting PostgreSQL, the API and the worker, making keys');
  await deployment.start();
  const connections = [Number(options.connections)];
  const bench = new Bench(deployment, {
    seconds: Number(options.duration),
    rounds: 1,
    connections,
    longSeconds: 0,
    events: 0,
    cachedKeys: 0,
  });
  const subject = options.subject === 'verify' ? await bench.verify : bench.authz;
  await bench.warmUp(subject);
  const server = await deployment.postgresPid();
  if (!server) throw new Error('The processes of PostgreSQL cannot be seen');
  await forgetStatements(deployment.sql);
  const logged = (await deployment.postgresLog()).length;
  const sessions = await SessionTimes.begin(deployment.sql, server);
  progress(`${subject.name}: ${options.duration} s`);
  const begin = now();
  const { ok, seconds, cpuMicroseconds } = await bench.run(subject, bench.amounts.seconds, connections[0]);
  const within = [begin, now()] as const;
  const byProcess = await sessions.end(ok);
  const vacuumed = autovacuums((await deployment.postgresLog()).slice(logged), ok);
  const byStatement = await statements(deployment.sql, ok);
  const pids = { api: deployment.apiPid, worker: deployment.workerPid };
  await deployment.stop();
  await mkdir(options.output, { recursive: true });
  for (const [name, pid] of Object.entries(pids)) {
    const file = readdirSync(profiles).find((each) => each.includes(`.${pid}.0.`))!;
    const took = cpuMicroseconds[name === 'api' ? 'API' : name]!.toFixed(0);
    const title = `${name === 'api' ? 'The API' : 'The worker'}, ${took} µs of CPU time for a request to ${subject.name}`;
    writeFileSync(join(options.output, `${name}.svg`), flameGraph(join(profiles, file), within, title));
  }
  printResult(subject.name, {
    tables: {
      'PostgreSQL by process': byProcess,
      ...(vacuumed.length > 0 && { Autovacuum: vacuumed }),
      'PostgreSQL by statement': byStatement,
    },
    figures: Object.entries(cpuMicroseconds).map(([what, value]) => ({ what, value, unit: 'µs for a use' })),
    notes: [
      `${Math.round(ok / seconds)} responses a second, with the profiler. Flame graphs are in ${options.output}.`,
    ],
  });
} finally {
  await deployment.close();
  await rm(profiles, { recursive: true });
}

/** The clock of V8's profiles, in microseconds. */
function now(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
