export interface Progress {
  /** The number of entries so far. */
  readonly next: number;
  readonly size: number;
  /** Entries. */
  readonly perSecond: number;
  /** Whether the log is read again, to find the first wrong entry. */
  readonly locating: boolean;
}

/** One verification of a whole log, which can be paused and cancelled. */
export class WholeLogRun {
  readonly #leaving = new AbortController();
  #held: PromiseWithResolvers<void> | null = null;
  #at = { next: 0, size: 0, locating: false };
  /** Since when, and from which entry on, the speed is measured: not over a pause. */
  #measured = { since: performance.now(), from: 0 };

  get signal(): AbortSignal {
    return this.#leaving.signal;
  }

  /** Waits while the verification is paused. */
  async turn(): Promise<void> {
    await this.#held?.promise;
    this.signal.throwIfAborted();
  }

  advance(next: number, size: number, locating: boolean): void {
    this.#at = { next, size, locating };
    if (next === 0) this.#measure();
  }

  progress(): Progress {
    const { since, from } = this.#measured;
    const seconds = (performance.now() - since) / 1000;
    return { ...this.#at, perSecond: seconds === 0 ? 0 : Math.round((this.#at.next - from) / seconds) };
  }

  pause(): void {
    this.#held ??= Promise.withResolvers();
  }

  resume(): void {
    this.#measure();
    this.#release();
  }

  cancel(): void {
    this.#leaving.abort();
    this.#release();
  }

  #measure(): void {
    this.#measured = { since: performance.now(), from: this.#at.next };
  }

  #release(): void {
    this.#held?.resolve();
    this.#held = null;
  }
}
