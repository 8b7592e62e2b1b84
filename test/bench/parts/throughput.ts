import type { Client } from '#libs/client/client.js';
import type { Bench, Subject } from '../bench.ts';
import { startBetterAuth } from '../better-auth.ts';
import type { Deployment } from '../deployment.ts';
import { timesASecond } from '../every.ts';
import { signInAll, type Key } from '../keys.ts';
import { startNginx } from '../nginx.ts';
import { median, progress, type Figure, type Result } from '../report.ts';

const REVOCATIONS_A_SECOND = 10;
const SPARE_KEYS = 500;
/** Goals of `/authz` in comparison with the bare framework, by connections. */
const FASTIFY_GOALS: Readonly<Record<number, number>> = { 32: 0.22, 128: 0.45, 256: 0.5 };
const BETTER_AUTH_GOAL = 25;
const VERIFY_GOAL = 0.6;

type Runs = ReadonlyMap<Subject, readonly Awaited<ReturnType<Bench['run']>>[]>;

/** @param parts the requested ones of `authz` and `peers` */
export async function measureThroughput(bench: Bench, parts: ReadonlySet<string>): Promise<Result> {
  const { deployment, authz } = bench;
  const fastify = await bench.fastify;
  const verify = await bench.verify;
  const revocations = parts.has('authz') ? new Revocations(deployment) : undefined;
  const beside = revocations
    ? [
        await bench.hello('node:http', 'node-hello.ts'),
        verify,
        bench.whoami,
        { ...authz, name: '/authz, 10 revoked/s', meanwhile: (ended: AbortSignal) => revocations.goOn(ended) },
      ]
    : [];
  const peers = parts.has('peers') ? [await startBetterAuth(deployment), await startNginx(deployment)] : [];
  const betterAuth = peers[0]?.subject;
  const subjects = [fastify, authz, ...beside, ...peers.flatMap(({ subject }) => subject ?? [])];

  const rows: Record<string, string | number>[] = [];
  const figures: Figure[] = [];
  const best: number[] = [];
  for (const connections of bench.amounts.connections) {
    const runs = await runByTurns(bench, subjects, connections, revocations);
    rows.push(...subjects.map((subject) => rowOf(subject, runs, connections, fastify)));
    best.push(median(runs.get(authz)!.map(({ ok, seconds }) => ok / seconds)));
    const compare = (one: Subject, other: Subject, goal?: number) => {
      const what = `${one.name} / ${other.name}, ${connections} connections`;
      figures.push({ what, value: ratio(runs, one, other), unit: 'times', ...(goal && { goal: { atLeast: goal } }) });
    };
    compare(authz, fastify, FASTIFY_GOALS[connections]);
    if (revocations) compare(verify, authz, VERIFY_GOAL);
    if (betterAuth) compare(authz, betterAuth, BETTER_AUTH_GOAL);
  }
  bench.capacity = Math.max(...best);
  for (const peer of peers) await peer.stop();
  if (revocations) figures.push({ what: 'keys revoked meanwhile', value: revocations.rate, unit: 'a second' });
  const notes = [
    'µs: CPU time for a request, of a process with its children, until the audit log is complete.',
    ...peers.flatMap(({ missing }) => missing ?? []),
  ];
  return { rows, figures, notes };
}

function rowOf(subject: Subject, runs: Runs, connections: number, fastify: Subject): Record<string, string | number> {
  const own = runs.get(subject)!;
  const cpu = (...processes: readonly string[]) => {
    const process = processes.find((name) => own[0]!.cpuMicroseconds[name] !== undefined);
    return process === undefined ? '-' : median(own.map(({ cpuMicroseconds }) => cpuMicroseconds[process]!));
  };
  return {
    connections,
    subject: subject.name,
    'requests/s': Math.round(median(own.map(({ ok, seconds }) => ok / seconds))),
    'p50 ms': median(own.map(({ p50 }) => p50)),
    'p99 ms': median(own.map(({ p99 }) => p99)),
    'to fastify': ratio(runs, subject, fastify),
    'server µs': cpu('API', 'server'),
    'worker µs': cpu('worker'),
    'database µs': cpu('PostgreSQL', 'Redis'),
  };
}

/** The median ratio of the rates of the same rounds. */
function ratio(runs: Runs, one: Subject, other: Subject): number {
  const rates = (subject: Subject) => runs.get(subject)!.map(({ ok, seconds }) => ok / seconds);
  const others = rates(other);
  return median(rates(one).map((rate, round) => rate / others[round]!));
}

/** Alternates rounds of all subjects, so that disturbances of the machine affect all of them equally. */
async function runByTurns(
  bench: Bench,
  subjects: readonly Subject[],
  connections: number,
  revocations: Revocations | undefined,
): Promise<Runs> {
  const { rounds, seconds } = bench.amounts;
  await revocations?.prepare();
  for (const subject of subjects) {
    progress(`${connections} connections: warming up ${subject.name}`);
    await bench.warmUp(subject, connections);
  }
  const runs = new Map(subjects.map((subject) => [subject, [] as Awaited<ReturnType<Bench['run']>>[]]));
  for (let round = 1; round <= rounds; round++) {
    progress(`${connections} connections: round ${round} of ${rounds}`);
    await revocations?.prepare();
    for (const subject of subjects) runs.get(subject)!.push(await bench.run(subject, seconds, connections));
  }
  return runs;
}

/** Revokes unused keys through the API while others are verified. */
class Revocations {
  readonly #deployment: Deployment;
  #spare: { key: Key; client: Client }[] = [];
  #count = 0;
  #seconds = 0;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
  }

  get rate(): number {
    return this.#count / this.#seconds;
  }

  /** Creates enough keys for a run, from all organizations in turn, so that changes are spread over all shards. */
  async prepare(): Promise<void> {
    const { customers } = this.#deployment;
    const clients = await signInAll(customers.map(({ customer }) => customer));
    const each = Math.ceil(SPARE_KEYS / customers.length);
    const spare: Key[][] = [];
    for (const { keys } of customers) spare.push(await this.#deployment.copyKeys(keys[0]!, each));
    this.#spare = Array.from({ length: each }, (_, index) =>
      spare.map((keys, customer) => ({ key: keys[index]!, client: clients[customer]! })),
    ).flat();
  }

  async goOn(ended: AbortSignal): Promise<void> {
    const startedAt = performance.now();
    await timesASecond(REVOCATIONS_A_SECOND, ended, async () => {
      const one = this.#spare.pop();
      if (!one) return;
      await one.client.apiKeys.revoke({ params: { id: one.key.id } });
      this.#count += 1;
    });
    this.#seconds += (performance.now() - startedAt) / 1000;
  }
}
