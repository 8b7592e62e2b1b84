import type { Deployment } from './deployment.ts';
import type { Measured, Order } from './load.js';
import type { PacedMeasured, PacedOrder } from './paced.js';
import { REST_CORE, said, SERVER_CORE } from './processes.ts';
import { progress } from './report.ts';

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
  readonly path: string;
  readonly headers: readonly Record<string, string>[];
  /** Whether each response must be in the audit log. */
  readonly isRecorded?: boolean;
  /** Other work during the measurement, until the signal aborts. */
  readonly meanwhile?: (ended: AbortSignal) => Promise<void>;
}

const USUAL_CONNECTIONS = 128;
const WARM_UPS = 2;

/** What every part needs to measure: the deployment, and the servers to compare it with. */
export class Bench {
  readonly deployment: Deployment;
  readonly amounts: Amounts;
  #capacity: number | undefined;
  #fastify: Promise<Subject> | undefined;

  constructor(deployment: Deployment, amounts: Amounts) {
    this.deployment = deployment;
    this.amounts = amounts;
  }

  get authz(): Subject {
    return { ...this.#ofKeys('/authz?scope=triggers:read'), name: '/authz' };
  }

  get whoami(): Subject {
    return { ...this.#ofKeys('/api/v1/whoami'), name: 'whoami' };
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
    const { url } = await said<{ url: string }>(this.deployment.processes.start(script, {}, SERVER_CORE));
    return { name, url, path: '/', headers: [{}] };
  }

  /** Measures the highest rate over this number of connections. */
  async run(subject: Subject, amount: number, connections = USUAL_CONNECTIONS): Promise<Measured> {
    const { url, path, headers } = subject;
    const whole = Math.ceil(amount / connections) * connections;
    const order: Order = { url, path, headers, connections, amount: whole };
    return this.#measure(subject, 'load.ts', order);
  }

  /** Measures at a fixed rate, independent of the response times. */
  async pace(subject: Subject, rate: number, seconds: number): Promise<PacedMeasured & { drainedSeconds: number }> {
    const { url, path, headers } = subject;
    const order: PacedOrder = { url, path, headers, rate, seconds, connections: USUAL_CONNECTIONS };
    return this.#measure(subject, 'paced.ts', order);
  }

  /** Runs the subject until it is warm. @returns responses a second */
  async warmUp(subject: Subject, connections = USUAL_CONNECTIONS): Promise<number> {
    let rate = connections * 50;
    for (let run = 0; run < WARM_UPS; run++) {
      const { ok, seconds } = await this.run(subject, rate, connections);
      rate = ok / seconds;
    }
    return rate;
  }

  /** The highest measured rate of verifications a second. */
  set capacity(rate: number) {
    this.#capacity = rate;
  }

  async halfLoad(): Promise<number> {
    if (!this.#capacity) {
      progress('How many verifications a second there are at the most');
      const amount = (await this.warmUp(this.authz)) * this.amounts.seconds;
      const { ok, seconds } = await this.run(this.authz, amount);
      this.#capacity = ok / seconds;
    }
    return Math.round(this.#capacity / 2);
  }

  async #measure<T extends { ok: number; failed: Readonly<Record<string, number>> }>(
    { name, isRecorded, meanwhile }: Subject,
    script: string,
    order: object,
  ): Promise<T & { drainedSeconds: number }> {
    const { processes, auditLog } = this.deployment;
    const measure = async () => {
      const load = processes.start(script, {}, REST_CORE);
      const ended = new AbortController();
      const others = meanwhile?.(ended.signal);
      load.send(order);
      const measured = await said<T>(load).finally(() => ended.abort());
      await others;
      const failed = Object.entries(measured.failed).map(([status, number]) => `${number} with ${status}`);
      if (failed.length > 0) throw new Error(`${name} answered ${failed.join(', ')}`);
      return measured;
    };
    return isRecorded ? auditLog.requireEach(measure) : { ...(await measure()), drainedSeconds: 0 };
  }

  #ofKeys(path: string) {
    const { url, keys } = this.deployment;
    return { url, path, headers: keys.map(({ token }) => ({ 'x-api-key': token })), isRecorded: true };
  }
}

async function requireSameHeaders(one: Subject, other: Subject): Promise<void> {
  const [names, otherNames] = await Promise.all([one, other].map(headerNames));
  const missing = otherNames!.filter((name) => !names!.includes(name));
  if (missing.length > 0) throw new Error(`${one.name} sends no ${missing.join(', ')}, and ${other.name} does`);
}

async function headerNames({ url, path, headers }: Subject): Promise<string[]> {
  const { headers: answered } = await fetch(url + path, { headers: headers[0]! });
  return [...answered.keys()];
}
