import { DomainError } from './errors.js';

export interface FairQueueOptions {
  /** Names the work in messages: "changes". */
  readonly of: string;
  /** Maximum that run at once. */
  readonly running: number;
  /** Maximum of one flow that run at once. */
  readonly runningPerFlow: number;
  /** Maximum that wait. */
  readonly waiting: number;
  /** Maximum of one flow that wait. */
  readonly waitingPerFlow: number;
  /** Maximum time to wait. */
  readonly patienceMs: number;
  /** Error code when a flow's own places are all taken. Default: `rate_limited`. */
  readonly flowProblem?: 'rate_limited' | 'overloaded';
  /** Default: no flow rests. */
  readonly rest?: Rest;
}

/**
 * A flow with more than `beyond` waiting rests after each piece of its work, for `times` as long as that work took. So
 * it keeps the processor busy at most 1/(1 + `times`) of the time.
 */
export interface Rest {
  readonly beyond: number;
  readonly times: number;
}

/** A page or script of one user has a few requests in progress. More is a flood or bulk work, which may take longer. */
export const REST_OF_FLOODS: Rest = { beyond: 3, times: 5 };

/** Upper bound of a rest, for work that took long because it waited for something. */
const MOST_REST_MS = 250;

interface Flow {
  /** Running or resting. */
  running: number;
  readonly waiting: Waiting[];
}

interface Waiting {
  readonly start: () => void;
  readonly deadline: NodeJS.Timeout;
}

/**
 * Bounds work before it asks for a scarce resource. Work belongs to flows, which take turns: the sender of a flood
 * waits behind that flood, and every other flow behind one piece of it at most.
 */
export class FairQueue {
  /** Flows that run or wait, in the order of their turns. */
  readonly #flows = new Map<string, Flow>();
  #running = 0;
  #waiting = 0;

  constructor(private readonly options: FairQueueOptions) {}

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /**
   * @throws DomainError `flowProblem` if too much work of the flow waits; `overloaded` if too much of all flows waits,
   * or if the turn does not come in time. The work has not begun in these cases.
   */
  async run<T>(flow: string, work: () => Promise<T>): Promise<T> {
    await this.#enter(flow);
    const began = performance.now();
    try {
      return await work();
    } finally {
      this.#leave(flow, performance.now() - began);
    }
  }

  async #enter(name: string): Promise<void> {
    const { of, waiting, waitingPerFlow, flowProblem = 'rate_limited' } = this.options;
    const flow = this.#flows.get(name) ?? { running: 0, waiting: [] };
    if (flow.waiting.length >= waitingPerFlow) {
      throw new DomainError(flowProblem, `Too many ${of} are already waiting for each other`, { retryAfter: 1 });
    }
    const mayStart = this.#mayStart(flow) && flow.waiting.length === 0;
    if (!mayStart && this.#waiting >= waiting) {
      throw new DomainError('overloaded', `Too many ${of} are waiting`, { retryAfter: 1 });
    }
    this.#flows.set(name, flow);
    if (mayStart) this.#start(flow);
    else await this.#wait(name, flow);
  }

  #wait(name: string, flow: Flow): Promise<void> {
    const { of, patienceMs } = this.options;
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        flow.waiting.splice(flow.waiting.indexOf(one), 1);
        this.#waiting -= 1;
        this.#forgetIfIdle(name, flow);
        reject(new DomainError('overloaded', `Too many ${of} are ahead of this one`, { retryAfter: 1 }));
      };
      const one: Waiting = { start: resolve, deadline: setTimeout(giveUp, patienceMs) };
      flow.waiting.push(one);
      this.#waiting += 1;
    });
  }

  #leave(name: string, tookMs: number): void {
    const flow = this.#flows.get(name)!;
    const { beyond, times } = this.options.rest ?? { beyond: Infinity, times: 0 };
    this.#running -= 1;
    if (flow.waiting.length > beyond)
      setTimeout(() => this.#endTurn(name, flow), Math.min(tookMs * times, MOST_REST_MS));
    else this.#endTurn(name, flow);
    this.#startNext();
  }

  #endTurn(name: string, flow: Flow): void {
    flow.running -= 1;
    this.#forgetIfIdle(name, flow);
    this.#startNext();
  }

  #startNext(): void {
    const next = this.#next();
    if (!next) return;
    const [turn, flowOfTurn] = next;
    // Move the flow to the end of the line.
    this.#flows.delete(turn);
    this.#flows.set(turn, flowOfTurn);
    const { start, deadline } = flowOfTurn.waiting.shift()!;
    clearTimeout(deadline);
    this.#waiting -= 1;
    this.#start(flowOfTurn);
    start();
  }

  /** Picks a waiting flow that may start: one with the least running work, and among those the one whose turn it is. */
  #next(): [string, Flow] | undefined {
    let next: [string, Flow] | undefined;
    for (const [name, flow] of this.#flows) {
      if (flow.waiting.length === 0 || !this.#mayStart(flow)) continue;
      if (!next || flow.running < next[1].running) next = [name, flow];
    }
    return next;
  }

  #mayStart(flow: Flow): boolean {
    return this.#running < this.options.running && flow.running < this.options.runningPerFlow;
  }

  #start(flow: Flow): void {
    flow.running += 1;
    this.#running += 1;
  }

  #forgetIfIdle(name: string, flow: Flow): void {
    if (flow.running === 0 && flow.waiting.length === 0) this.#flows.delete(name);
  }
}

/** Whether work did not begin because its turn did not come. */
export function isOutOfTurn(error: unknown): boolean {
  return error instanceof DomainError && (error.code === 'rate_limited' || error.code === 'overloaded');
}
