import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError, givenSettings, readConfig, readConfigWithoutDatabase } from '#libs/platform/config.js';
import { checkDatabase } from '#libs/platform/database-check.js';
import { makeLogins } from './database.js';
import { PASSWORD_FILE, prepareDirectory } from './embedded-postgres.js';
import { PUBLIC_URL_FILE } from './here.js';
import { KeptPostgres } from './kept-postgres.js';
import { keptSecret } from './kept-secret.js';
import { capLogs } from './logs.js';
import { LockHeld, takeLock } from './processes.js';
import { MigrationProcess } from './migration-process.js';
import { setUpLink } from './operator-link.js';
import { Service, ServiceFailed } from './services.js';
import { StopRequest, Stopped } from './stop-request.js';
import { welcome } from './welcome.js';

const APPS = fileURLToPath(new URL('..', import.meta.url));
const HURRY_DEADLINE_MS = 5000;

/**
 * Runs everything on this machine until it is stopped: an embedded PostgreSQL unless `DATABASE_URL` names a server, the
 * migrations, the worker and the API. Everything is stopped in reverse order.
 * @returns the exit code
 */
export async function up(env: NodeJS.ProcessEnv): Promise<number> {
  const supervisor = new Supervisor();
  // The terminal may close before this process ends.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  try {
    return await supervisor.run(env);
  } catch (error) {
    if (error instanceof Stopped) return 0;
    if (!(error instanceof ServiceFailed)) throw error;
    if (error.message) say(error.message);
    return error.exitCode;
  } finally {
    await supervisor.cleanUp();
  }
}

class Supervisor {
  readonly #began = performance.now();
  readonly #stop = new StopRequest(() => this.#hurry());
  readonly #services: Service[] = [];
  readonly #cleanUps: (() => Promise<void> | void)[] = [];
  #postgres: KeptPostgres | undefined;

  /** Never returns; throws the error that ends it. */
  async run(env: NodeJS.ProcessEnv): Promise<never> {
    const given = givenSettings(env);
    const embedded = given['DATABASE_URL'] === undefined;
    const { settings } = embedded ? readConfigWithoutDatabase(given) : readConfig(given);
    const directory = this.#claim(settings.DATA_DIR);
    await requireFreePort(settings.PORT, settings.HOST);
    const logs = this.#openLogs(directory);
    const secret = given['KEYLEDGER_SECRET'] ?? generatedSecret(directory);

    const databases = embedded
      ? await this.#startDatabase(directory, logs)
      : await this.#useDatabase(settings.DATABASE_URL);
    this.#stop.check();
    const start = (name: string, databaseUrl: string, own: NodeJS.ProcessEnv = {}) =>
      this.#startService(name, join(logs, `${name}.log`), {
        ...given,
        DATABASE_URL: databaseUrl,
        KEYLEDGER_SECRET: secret,
        ...own,
      });
    // Both run on this machine, so each needs its own port for metrics.
    const { METRICS_PORT: metrics } = settings;
    // The API starts last and stops first, so that the worker can still ingest the API's last events.
    const worker = start('worker', databases.worker, metrics ? { METRICS_PORT: String(metrics + 1) } : {});
    const api = start('api', databases.api);
    const ended = Promise.race([this.#stop.asked, api.failed, worker.failed]);
    const [url = ''] = await Promise.race([ended, Promise.all([api.ready, worker.ready])]);
    const publicUrl = settings.PUBLIC_URL?.replace(/\/$/, '') ?? url;
    this.#publish(join(directory, PUBLIC_URL_FILE), publicUrl);
    const setUp = await setUpLink(databases.api, publicUrl, given);
    const database = new URL(databases.api);
    say(
      welcome({
        url,
        seconds: (performance.now() - this.#began) / 1000,
        dataDirectory: this.#postgres?.server.dataDirectory ?? directory,
        database: `PostgreSQL at ${database.host}${embedded ? ', embedded' : ', from DATABASE_URL'}`,
        logs,
        setUp,
      }),
    );
    return ended;
  }

  async cleanUp(): Promise<void> {
    for (const cleanUp of this.#cleanUps.toReversed()) await cleanUp();
  }

  #claim(dataDirectory: string): string {
    const directory = prepareDirectory(dataDirectory);
    try {
      const lock = takeLock(join(directory, 'up.lock'));
      this.#cleanUps.push(() => lock.release());
      return directory;
    } catch (error) {
      if (!(error instanceof LockHeld)) throw error;
      throw new ConfigError(
        `DATA_DIR ${directory} is in use by process ${error.pid}, another running Keyledger: stop it with ` +
          `\`kill ${error.pid}\`, or set DATA_DIR to another folder (and PORT to another port).`,
      );
    }
  }

  /** For the commands of this machine, while this process runs. */
  #publish(file: string, publicUrl: string): void {
    writeFileSync(file, `${publicUrl}\n`);
    this.#cleanUps.push(() => rmSync(file, { force: true }));
  }

  #openLogs(directory: string): string {
    const logs = join(directory, 'logs');
    mkdirSync(logs, { recursive: true, mode: 0o700 });
    const capping = capLogs(logs);
    this.#cleanUps.push(() => capping.end());
    return logs;
  }

  async #startDatabase(directory: string, logs: string): Promise<Databases> {
    const migration = this.#prepareMigration(!isInitialized(directory));
    const postgres = await KeptPostgres.start({
      dataDirectory: directory,
      logFile: join(logs, 'postgres.log'),
      log: say,
    });
    this.#postgres = postgres;
    this.#cleanUps.push(() => postgres.stop());
    this.#stop.check();
    const { adminUrl } = postgres.server;
    await migration.migrate(adminUrl, say);
    const urls = await makeLogins(adminUrl, ['keyledger_api', 'keyledger_worker']);
    return { api: urls.keyledger_api, worker: urls.keyledger_worker };
  }

  async #useDatabase(databaseUrl: string): Promise<Databases> {
    const work = async () => {
      await checkDatabase(databaseUrl);
      await this.#prepareMigration(false).migrate(databaseUrl, say);
      return { api: databaseUrl, worker: databaseUrl };
    };
    // If a stop interrupts this, nothing of ours is left behind.
    return Promise.race([this.#stop.asked, work()]);
  }

  #prepareMigration(isNew: boolean): MigrationProcess {
    const migration = new MigrationProcess(isNew);
    this.#cleanUps.push(() => migration.end());
    return migration;
  }

  #startService(name: string, logFile: string, env: NodeJS.ProcessEnv): Service {
    const service = new Service({ name, script: join(APPS, name, 'main.js'), env, logFile, log: say });
    this.#services.push(service);
    this.#cleanUps.push(() => service.stop());
    return service;
  }

  /** Acknowledged changes are safe: the database has them, and replays its log at the next start. */
  #hurry(): void {
    for (const service of this.#services) service.kill();
    void this.#postgres?.stop('at once');
    setTimeout(() => process.exit(1), HURRY_DEADLINE_MS).unref();
  }
}

interface Databases {
  readonly api: string;
  readonly worker: string;
}

/** Reports a taken port before anything starts. If the port is taken later, the API reports it. */
async function requireFreePort(port: number, host: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => server.close(() => resolve()));
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE') {
      throw new ConfigError(
        `PORT ${port} is taken by another process: stop that one, or set PORT to a free one, such as ${port + 1}.`,
      );
    }
    throw new ConfigError(
      `PORT ${port} cannot be used at HOST ${host} (${error.code}): set them to a port and an address of this machine.`,
    );
  });
}

/** Whether the data folder has a server's data. */
function isInitialized(directory: string): boolean {
  return existsSync(join(directory, PASSWORD_FILE));
}

function generatedSecret(directory: string): string {
  const file = join(directory, 'secret');
  if (!existsSync(file) && isInitialized(directory)) {
    throw new ConfigError(
      `KEYLEDGER_SECRET must be the secret with which the data in ${directory} was created: it was set then, or is missing from ${file}.`,
    );
  }
  return keptSecret(file);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
