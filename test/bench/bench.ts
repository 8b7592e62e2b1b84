import type { Request } from './connection.ts';
import type { Deployment } from './deployment.ts';
import { requestSaid, requestsOf } from './headers.ts';
import type { PacedMeasured, PacedOrder } from './paced.js';
import { cpuSeconds, hasProc } from './proc.ts';
import { REST_CORE, said, SERVER_CORE } from './processes.ts';
import { progress } from './report.ts';
import { runWrk, type Measured } from './wrk.ts';

/** The amounts of each measurement. */
export interface Amounts {
  /** The length of each round. */
  readonly seconds: number;
  readonly rounds: number;
  readonly connections: readonly number[];
  /** The length of a measurement that has one long run. */
  readonly longSeconds: number;
  /** The events that wait in the outbox. */
  readonly events: number;
  /** The keys in the API's memory. */
  readonly cachedKeys: number;
}

/** An endpoint that is measured and responds with 200. */
export interface Subject {
  readonly name: string;
  readonly url: string;
  /** Sent in rotation. */
  readonly requests: readonly Request[];
  /** The processes that do the work. */
  readonly processes: Readonly<Record<string, number>>;
  /** Whether each response must be in the audit log. */
  readonly isRecorded?: boolean;
  /** Other work during the measurement, until the signal aborts. */
  readonly meanwhile?: (ended: AbortSignal) => Promise<void>;
}

/** What a run took beside its own figures. */
interface Cost {
  /** Until the last use was in the audit log. */
  readonly drainedSeconds: number;
  /** For each request and process, with the later work on what was recorded. Empty where processes cannot be seen. */
  readonly cpuMicroseconds: Readonly<Record<string, number>>;
}

const USUAL_CONNECTIONS = 128;
const WARM_UP_SECONDS = 2;
const SCOPE = 'triggers:read';

/** What every part needs to measure: the deployment, and the servers to compare it with. */
export class Bench {
  readonly deployment: Deployment;
  readonly amounts: Amounts;
  #capacity: number | undefined;
  #fastify: Promise<Subject> | undefined;
  #verify: Promise<Subject> | undefined;

  constructor(deployment: Deployment, amounts: Amounts) {
    this.deployment = deployment;
    this.amounts = amounts;
  }

  /** As a gateway asks. */
  get authz(): Subject {
    return this.#recorded('/authz', requestsOf(this.#tokens, `/authz?scope=${SCOPE}`));
  }

  get whoami(): Subject {
    return this.#recorded('whoami', requestsOf(this.#tokens, '/api/v1/whoami'));
  }

  /** As a service asks that has a key of its own to verify those of its callers. */
  get verify(): Promise<Subject> {
    this.#verify ??= this.deployment.verifiers(SCOPE).then((verifiers) =>
      this.#recorded(
        'POST …/verify',
        verifiers.map(({ verifier, key }, n) => ({
          method: 'POST',
          path: '/api/v1/api-keys/verify',
          headers: { 'x-api-key': verifier.token },
          body: JSON.stringify({ key: key.token, scopes: [SCOPE], request: requestSaid(n) }),
        })),
      ),
    );
    return this.#verify;
  }

  /** The baseline. It must send the same headers as /authz. */
  get fastify(): Promise<Subject> {
    this.#fastify ??= this.hello('fastify', 'fastify-hello.ts').then(async (fastify) => {
      await requireSameHeaders(fastify, this.authz);
      return fastify;
    });
    return this.#fastify;
  }

  async hello(name: string, script: string): Promise<Subject> {
    const child = this.deployment.processes.start(script, {}, SERVER_CORE);
    const { url } = await said<{ url: string }>(child);
    return { name, url, requests: requestsOf(this.#tokens, '/'), processes: { server: child.pid! } };
  }

  /** Measures the highest rate over this number of connections. */
  run(subject: Subject, seconds: number, connections = USUAL_CONNECTIONS): Promise<Measured & Cost> {
    const { url, requests } = subject;
    return this.#measure(subject, () => runWrk(this.deployment.processes, { url, requests, connections, seconds }));
  }

  /** Measures at a fixed rate, independent of the response times. */
  pace(subject: Subject, rate: number, seconds: number): Promise<PacedMeasured & Cost> {
    const { url, requests } = subject;
    const order: PacedOrder = { url, requests, rate, seconds, connections: USUAL_CONNECTIONS };
    return this.#measure(subject, () => {
      const load = this.deployment.processes.start('paced.ts', {}, REST_CORE);
      load.send(order);
      return said<PacedMeasured>(load);
    });
  }

  /** Runs the subject until it is warm. */
  async warmUp(subject: Subject, connections = USUAL_CONNECTIONS): Promise<void> {
    await this.run(subject, WARM_UP_SECONDS, connections);
  }

  /** The highest measured rate of verifications a second. */
  set capacity(rate: number) {
    this.#capacity = rate;
  }

  async halfLoad(): Promise<number> {
    if (!this.#capacity) {
      progress('How many verifications a second there are at the most');
      await this.warmUp(this.authz);
      const { ok, seconds } = await this.run(this.authz, this.amounts.seconds);
      this.#capacity = ok / seconds;
    }
    return Math.round(this.#capacity / 2);
  }

  async #measure<T extends Measured>(subject: Subject, run: () => Promise<T>): Promise<T & Cost> {
    const { name, isRecorded, meanwhile } = subject;
    const measure = async () => {
      const ended = new AbortController();
      const others = meanwhile?.(ended.signal);
      const measured = await run().finally(() => ended.abort());
      await others;
      const failed = Object.entries(measured.failed).map(([kind, number]) => `${number} with ${kind}`);
      if (failed.length > 0) throw new Error(`Requests to ${name} failed: ${failed.join(', ')}`);
      return measured;
    };
    const processes = hasProc ? Object.entries(subject.processes) : [];
    const before = processes.map(([, pid]) => cpuSeconds(pid));
    const measured = isRecorded
      ? await this.deployment.auditLog.requireEach(measure)
      : { ...(await measure()), drainedSeconds: 0 };
    const cpuMicroseconds = Object.fromEntries(
      processes.map(([process, pid], n) => [process, ((cpuSeconds(pid) - before[n]!) / measured.ok) * 1e6]),
    );
    return { ...measured, cpuMicroseconds };
  }

  get #tokens(): string[] {
    return this.deployment.keys.map(({ token }) => token);
  }

  #recorded(name: string, requests: readonly Request[]): Subject {
    const { url, processIds } = this.deployment;
    return { name, url, requests, processes: processIds, isRecorded: true };
  }
}

async function requireSameHeaders(one: Subject, other: Subject): Promise<void> {
  const [names, otherNames] = await Promise.all([one, other].map(headerNames));
  const missing = otherNames!.filter((name) => !names!.includes(name));
  if (missing.length > 0) throw new Error(`${one.name} sends no ${missing.join(', ')}, and ${other.name} does`);
}

async function headerNames({ url, requests }: Subject): Promise<string[]> {
  const { path, headers } = requests[0]!;
  return [...(await fetch(url + path, { headers })).headers.keys()];
}
