import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';

/**
 * Migrates in a thread that ends afterwards: its code is read while the server still starts, and the memory that it takes
 * is given back. A supervisor runs for months.
 */
export class MigrationThread {
  readonly #thread = new Worker(fileURLToPath(import.meta.url));

  /** @throws what `migrate` throws */
  async migrate(databaseUrl: string, log: (line: string) => void): Promise<void> {
    const thread = this.#thread;
    await new Promise<void>((resolve, reject) => {
      thread.once('error', reject);
      thread.once('exit', () => resolve());
      thread.on('message', log);
      thread.postMessage(databaseUrl);
    });
  }

  async end(): Promise<void> {
    await this.#thread.terminate();
  }
}

if (!isMainThread && parentPort) {
  const port = parentPort;
  const migrations = import('./migrate.js');
  port.once('message', async (databaseUrl: string) => {
    await (await migrations).migrate({ databaseUrl, log: (line) => port.postMessage(line) });
  });
}
