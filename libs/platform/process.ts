import { ConfigError, EXIT_CONFIG, readConfig, refuseArguments, type Config } from './config.js';
import { checkDatabase, DatabaseAway, whyLost } from './database-check.js';
import { isDatabaseAway, type DatabaseRole } from '#libs/database/database.js';
import { errorStack } from './error-text.js';
import { redact } from './redact.js';
import { endTracing, startTracing } from './tracing.js';

interface RunningService {
  /** Its address, if it listens. */
  readonly url?: string;
  stop(): Promise<void>;
}

/** A stop that takes longer than this will not end. */
const STOP_DEADLINE_MS = 10_000;

/**
 * Runs a process: reads the settings, starts, reports that to the parent process, and stops in order on SIGTERM,
 * SIGINT, SIGHUP, or when the parent is gone. A process that cannot start gives the reason in one sentence.
 */
export async function runProcess(
  role: DatabaseRole,
  start: (config: Config) => Promise<RunningService>,
): Promise<void> {
  // Node would print the raw error.
  process.on('uncaughtException', fail);
  try {
    refuseArguments(process.argv.slice(2));
    const config = readConfig(process.env);
    await checkDatabase(config.settings.DATABASE_URL, role);
    await startTracing(config, role === 'keyledger_api' ? 'api' : 'worker');
    const service = await start(config).catch((error: unknown) => {
      throw isDatabaseAway(error) ? new DatabaseAway(whyLost(error)) : error;
    });
    stopOnDemand(service);
    process.send?.({ type: 'ready', url: service.url });
  } catch (error) {
    fail(error);
  }
}

function fail(error: unknown): never {
  process.stderr.write(`${redact(sentenceFor(error))}\n`);
  process.exit(exitCodeFor(error));
}

function stopOnDemand(service: RunningService): void {
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(1), STOP_DEADLINE_MS).unref();
    void end(service).then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop);
  // The channel closes when the parent dies, for any reason.
  process.on('disconnect', stop);
  // The parent may have died before this line.
  if (process.send && !process.connected) stop();
}

async function end(service: RunningService): Promise<void> {
  try {
    await service.stop();
  } finally {
    await endTracing();
  }
}

function exitCodeFor(error: unknown): number {
  if (error instanceof DatabaseAway) return 1;
  return error instanceof ConfigError || isTakenPort(error) ? EXIT_CONFIG : 1;
}

function isTakenPort(error: unknown): error is NodeJS.ErrnoException & { port: number } {
  return (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
}

function sentenceFor(error: unknown): string {
  if (error instanceof ConfigError) return error.message;
  if (isTakenPort(error)) return `PORT ${error.port} is taken by another process; stop it or set PORT to a free one.`;
  return errorStack(error);
}
