/** npm, the launcher and the terminal all pass the same signal on: one wish, which arrives several times. */
const SAME_WISH_MS = 500;

/** Thrown where a start is given up because it is to stop. */
export class Stopped extends Error {}

/**
 * The wish that this process end: a signal, or the death of the launcher, which closes its channel to us. A second
 * signal is impatience.
 */
export class StopRequest {
  /** Rejects with `Stopped`. */
  readonly asked: Promise<never>;
  #isAsked = false;

  constructor(onImpatience: () => void) {
    let reject!: (reason: Stopped) => void;
    this.asked = new Promise((_, rejectAsked) => (reject = rejectAsked));
    this.asked.catch(() => undefined);
    const ask = () => {
      this.#isAsked = true;
      reject(new Stopped());
    };
    let last = -Infinity;
    const onSignal = () => {
      const now = performance.now();
      if (this.#isAsked && now - last > SAME_WISH_MS) onImpatience();
      last = now;
      ask();
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
    process.on('disconnect', ask);
    // It may have died before this line.
    if (process.send && !process.connected) ask();
  }

  /** @throws Stopped where going on would only start what must be stopped again. */
  check(): void {
    if (this.#isAsked) throw new Stopped();
  }
}
