import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ConfigError, EXIT_CONFIG } from '#libs/platform/config.js';
import { ServiceFailed } from './services.js';

const FILE = fileURLToPath(import.meta.url);
const NEW = 'new';

/**
 * Migrates in a short-lived process. It loads its code while the server still starts, and its memory (as much as the
 * API's) does not stay with a supervisor that runs for months.
 */
export class MigrationProcess {
  readonly #child: ChildProcess;

  /** @param isNew whether the database is empty, so that all migrations will run */
  constructor(isNew: boolean) {
    this.#child = fork(FILE, isNew ? [NEW] : [], { detached: true });
  }

  /** @throws ServiceFailed if the process fails and has already explained why */
  async migrate(databaseUrl: string, log: (line: string) => void): Promise<void> {
    const child = this.#child;
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => {
        if (code === 0) resolve();
        else if (code === EXIT_CONFIG) reject(new ServiceFailed('', EXIT_CONFIG));
        else reject(new Error('The database could not be migrated.'));
      });
      child.on('message', log);
      child.send(databaseUrl);
    });
  }

  /** The database rolls back an interrupted migration. */
  end(): void {
    this.#child.kill();
  }
}

function serve(): void {
  const code = import('./migrate.js');
  if (process.argv[2] === NEW) void code.then(({ tableMigrations }) => tableMigrations());
  const run = async (databaseUrl: string) => {
    try {
      await (await code).migrate({ databaseUrl, log: (line) => process.send!(line) });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      process.stderr.write(`${error.message}\n`);
      process.exit(EXIT_CONFIG);
    }
    // The channel is all that keeps this process alive.
    process.disconnect!();
  };
  process.once('message', (databaseUrl: string) => void run(databaseUrl));
}

if (process.argv[1] === FILE) serve();
