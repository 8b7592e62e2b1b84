/** For a log line that any caller can cause: due at once, then again after the interval. */
export class Seldom {
  #dueAt = -Infinity;

  constructor(
    private readonly everyMs: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Whether the line is due. A call that returns true starts the next interval. */
  isDue(): boolean {
    const now = this.now();
    if (now < this.#dueAt) return false;
    this.#dueAt = now + this.everyMs;
    return true;
  }
}
