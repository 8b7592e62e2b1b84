import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LoggerService } from '@nestjs/common';
import { AggregatorRegistry, type PrometheusContentType } from 'prom-client';
import type { Config } from '#libs/platform/config.js';
import { createLogger } from '#libs/platform/logging.js';
import { closeMetrics, serveMetrics } from '#libs/platform/metrics-server.js';

const FIRST_BACKOFF_MS = 250;
const LONGEST_BACKOFF_MS = 10_000;
/** After a run of this length the backoff starts again from the beginning. */
const GOOD_RUN_MS = 60_000;

/**
 * Several processes of the API that share one port, for `API_PROCESSES`. This process starts them, replaces those that
 * end, and serves the metrics of all of them. On SIGUSR2 it replaces one after the other by a new process: others accept
 * connections meanwhile.
 */
export class ApiProcesses {
  readonly #logger: LoggerService;
  readonly #running = new Set<Worker>();
  #backoff = FIRST_BACKOFF_MS;
  #replacing = Promise.resolve();
  #isStopping = false;

  private constructor(config: Config) {
    this.#logger = createLogger(config, 'api');
  }

  /** @returns when all processes are ready */
  static async start(config: Config): Promise<{ url: string; stop(): Promise<void> }> {
    const processes = new ApiProcesses(config);
    // The first one starts alone, so that an error in the settings is reported once.
    const url = await processes.#add(exitLike);
    const others = Array.from({ length: config.settings.API_PROCESSES - 1 }, () => processes.#add(exitLike));
    await Promise.all(others);
    const registry = new AggregatorRegistry<PrometheusContentType>();
    const metrics = await serveMetrics(config, registry.contentType, () => registry.clusterMetrics());
    process.on('SIGUSR2', () => {
      processes.#replacing = processes.#replacing.then(() => processes.#replaceAll());
    });
    const stop = async () => {
      await processes.#stop();
      if (metrics) await closeMetrics(metrics);
    };
    return { url, stop };
  }

  /**
   * Starts a process.
   * @param whenNotReady for one that ends before it is ready
   * @returns its address, when it is ready
   */
  #add(whenNotReady: (code: number | null) => void): Promise<string> {
    const worker = cluster.fork();
    this.#running.add(worker);
    const startedAt = performance.now();
    return new Promise((resolve) => {
      let isReady = false;
      worker.on('message', ({ type, url }: { type?: string; url?: string }) => {
        if (type !== 'ready') return;
        isReady = true;
        resolve(url!);
      });
      worker.once('exit', (code, signal) => {
        this.#running.delete(worker);
        if (this.#isStopping || worker.exitedAfterDisconnect) return;
        if (!isReady) return whenNotReady(code);
        if (performance.now() - startedAt >= GOOD_RUN_MS) this.#backoff = FIRST_BACKOFF_MS;
        void this.#replaceEnded(signal || `code ${code}`);
      });
    });
  }

  async #replaceEnded(how: string): Promise<void> {
    const pause = this.#backoff;
    this.#backoff = Math.min(pause * 2, LONGEST_BACKOFF_MS);
    this.#logger.error(`A process of the API ended unexpectedly (${how}); starting another one in ${pause} ms`);
    await sleep(pause, undefined, { ref: false });
    if (!this.#isStopping) await this.#addUntilReady();
  }

  /** A process that cannot start, such as during an outage of the database, is tried again. The others serve meanwhile. */
  #addUntilReady(): Promise<string> {
    return new Promise((resolve) => {
      void this.#add((code) => void this.#replaceEnded(`code ${code}, before it was ready`)).then(resolve);
    });
  }

  async #replaceAll(): Promise<void> {
    for (const old of Array.from(this.#running)) {
      if (this.#isStopping) return;
      await this.#addUntilReady();
      await this.#dismiss(old);
    }
    this.#logger.log('All processes of the API were replaced');
  }

  async #dismiss(worker: Worker): Promise<void> {
    if (worker.isDead()) return;
    const ended = once(worker, 'exit');
    // Not a signal: this process may have given it a connection that it has not accepted yet.
    worker.disconnect();
    await ended;
  }

  async #stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all([...this.#running].map((worker) => this.#dismiss(worker)));
  }
}

/** The process has said why it cannot start. */
function exitLike(code: number | null): void {
  process.exit(code ?? 1);
}
