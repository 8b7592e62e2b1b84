import type { Client } from '#libs/client/client.js';
import type { Bench, Subject } from '../bench.ts';
import type { Deployment } from '../deployment.ts';
import { timesASecond } from '../every.ts';
import { signInAll, type Key } from '../keys.ts';
import type { Measured } from '../load.js';
import { startBetterAuth } from '../peers.ts';
import { median, progress, type Figure, type Result } from '../report.ts';

const REVOCATIONS_A_SECOND = 10;
const SPARE_KEYS = 500;
const PEER_GOAL = 30;

/** @param parts the requested ones of `authz` and `peers` */
export async function measureThroughput(bench: Bench, parts: ReadonlySet<string>): Promise<Result> {
  const fastify = await bench.fastify;
  const { authz } = bench;
  const peer = parts.has('peers') ? await startBetterAuth(bench.deployment) : undefined;
  const revocations = parts.has('authz') ? new Revocations(bench.deployment) : undefined;
  const beside = revocations
    ? [
        await bench.hello('nest', 'nest-hello.ts'),
        bench.whoami,
        { ...authz, name: '/authz, 10 revoked/s', meanwhile: (ended: AbortSignal) => revocations.goOn(ended) },
      ]
    : [];
  const subjects: Subject[] = [fastify, authz, ...beside, ...(peer?.subject ? [peer.subject] : [])];

  const rows: Record<string, string | number>[] = [];
  const figures: Figure[] = [];
  const best: number[] = [];
  for (const connections of bench.amounts.connections) {
    const runs = await runByTurns(bench, subjects, connections, revocations);
    const rates = new Map(
      subjects.map((subject) => [subject, runs.get(subject)!.map(({ ok, seconds }) => ok / seconds)]),
    );
    const ratio = (one: Subject, other: Subject) =>
      median(rates.get(one)!.map((rate, round) => rate / rates.get(other)![round]!));
    for (const subject of subjects) {
      const own = runs.get(subject)!;
      rows.push({
        connections,
        subject: subject.name,
        'requests/s': Math.round(median(rates.get(subject)!)),
        'p50 ms': median(own.map(({ p50 }) => p50)),
        'p99 ms': median(own.map(({ p99 }) => p99)),
        'to fastify': ratio(subject, fastify),
      });
    }
    best.push(median(rates.get(authz)!));
    if (peer?.subject) {
      const what = `/authz / Better Auth, ${connections} connections`;
      figures.push({ what, value: ratio(authz, peer.subject), unit: 'times', goal: { atLeast: PEER_GOAL } });
    }
  }
  bench.capacity = Math.max(...best);
  await peer?.stop();
  if (revocations) figures.push({ what: 'keys revoked meanwhile', value: revocations.rate, unit: 'a second' });
  return { rows, figures, notes: peer?.missing ? [peer.missing] : [] };
}

/** Alternates rounds of all subjects, so that disturbances of the machine affect all of them equally. */
async function runByTurns(
  bench: Bench,
  subjects: readonly Subject[],
  connections: number,
  revocations: Revocations | undefined,
): Promise<Map<Subject, Measured[]>> {
  const { rounds, seconds } = bench.amounts;
  const amounts = new Map<Subject, number>();
  await revocations?.prepare();
  for (const subject of subjects) {
    progress(`${connections} connections: warming up ${subject.name}`);
    amounts.set(subject, (await bench.warmUp(subject, connections)) * seconds);
  }
  const runs = new Map(subjects.map((subject) => [subject, [] as Measured[]]));
  for (let round = 1; round <= rounds; round++) {
    progress(`${connections} connections: round ${round} of ${rounds}`);
    await revocations?.prepare();
    for (const subject of subjects)
      runs.get(subject)!.push(await bench.run(subject, amounts.get(subject)!, connections));
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
