/** For a log line that any caller can cause: due at once, and again when so much time has gone by. */
export class Seldom {
  #dueAt = -Infinity;

  constructor(
    private readonly everyMs: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Whether the line is due; asking takes it. */
  isDue(): boolean {
    const now = this.now();
    if (now < this.#dueAt) return false;
    this.#dueAt = now + this.everyMs;
    return true;
  }
}
