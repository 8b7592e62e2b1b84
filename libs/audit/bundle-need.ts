/** Bundles that one statement reads at the most. */
export const MAX_BUNDLES = 16;

/** Estimates how many bundles a search still needs, so that it reads few others. */
export class Need {
  #bundles = 0;
  #entries = 0;

  /** @param take how many entries the caller is likely to take */
  constructor(private readonly take: number) {}

  /** A bundle was searched. */
  note(entries: number): void {
    this.#bundles += 1;
    this.#entries += entries;
  }

  /**
   * @param waiting bundles that were read and not searched yet
   * @returns how many more the next statement should read; 0 if the waiting ones are likely to be enough
   */
  bundles(waiting = 0): number {
    const missing = this.take - this.#entries;
    // The caller takes more than it said.
    if (missing <= 0) return MAX_BUNDLES;
    // A bundle is likely to have an entry. If many have none, a statement reads more.
    const without = this.#bundles - this.#entries;
    return Math.min(Math.max(missing - waiting, without, waiting > 0 ? 0 : 1), MAX_BUNDLES);
  }
}
