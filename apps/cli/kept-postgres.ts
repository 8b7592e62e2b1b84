import { setTimeout as sleep } from 'node:timers/promises';
import { startEmbeddedPostgres, type EmbeddedPostgres, type EmbeddedPostgresOptions } from './embedded-postgres.js';

const FIRST_BACKOFF_MS = 250;
const LONGEST_BACKOFF_MS = 10_000;

type Options = EmbeddedPostgresOptions & { readonly log: (line: string) => void };

/** A server that is restarted on the same port whenever it ends by itself, so that its clients find it again. */
export class KeptPostgres {
  readonly #options: Options;
  readonly #stopping = new AbortController();
  #restart: Promise<void> = Promise.resolve();
  #server: EmbeddedPostgres;

  static async start(options: Options): Promise<KeptPostgres> {
    return new KeptPostgres(options, await startEmbeddedPostgres(options));
  }

  private constructor(options: Options, server: EmbeddedPostgres) {
    this.#options = { ...options, port: server.port };
    this.#server = server;
    this.#watch();
  }

  get server(): EmbeddedPostgres {
    return this.#server;
  }

  #watch(): void {
    const restart = async () => {
      if (!this.#stopping.signal.aborted) await (this.#restart = this.#startAgain());
    };
    void this.#server.ended.then(restart);
  }

  async #startAgain(): Promise<void> {
    this.#options.log('PostgreSQL ended unexpectedly; restarting it.');
    for (let backoff = FIRST_BACKOFF_MS; ; backoff = Math.min(backoff * 2, LONGEST_BACKOFF_MS)) {
      await sleep(backoff, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      if (this.#stopping.signal.aborted) return;
      try {
        this.#server = await startEmbeddedPostgres(this.#options);
        return this.#watch();
      } catch (error) {
        this.#options.log((error as Error).message);
      }
    }
  }

  async stop(how?: 'at once'): Promise<void> {
    this.#stopping.abort();
    await this.#restart;
    await this.#server.stop(how);
  }
}
