/** npm, the launcher and the terminal all pass on the same signal, so one request to stop arrives several times. */
const SAME_WISH_MS = 500;

/** Thrown if a stop was requested during the start. */
export class Stopped extends Error {}

/**
 * A request to stop this process: a signal, or the death of the launcher, which closes its channel to us. A second
 * signal means that the user is impatient.
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
    // The launcher may have died before this line.
    if (process.send && !process.connected) ask();
  }

  /** @throws Stopped if a stop was requested, so that nothing more is started */
  check(): void {
    if (this.#isAsked) throw new Stopped();
  }
}
