import { ConfigError, EXIT_CONFIG, readConfig, type Config } from './config.js';
import { checkDatabase, DatabaseAway } from './database-check.js';
import type { DatabaseRole } from '#libs/database/database.js';
import { errorStack } from './error-text.js';
import { redact } from './redact.js';
import { endTracing, startTracing } from './tracing.js';

interface RunningService {
  /** Where it can be reached, when it listens. */
  readonly url?: string;
  stop(): Promise<void>;
}

/** A stop that takes longer than this is not going to end. */
const STOP_DEADLINE_MS = 10_000;

/**
 * The life of a process: reads the settings, starts, says so to the process that started it, and stops in order on
 * SIGTERM, SIGINT, SIGHUP, or when that process is gone. What cannot start says why in one sentence.
 */
export async function runProcess(
  role: DatabaseRole,
  start: (config: Config) => Promise<RunningService>,
): Promise<void> {
  // Node would write the error as it is.
  process.on('uncaughtException', fail);
  try {
    const config = readConfig(process.env);
    await checkDatabase(config.settings.DATABASE_URL, role);
    await startTracing(config, role === 'keyledger_api' ? 'api' : 'worker');
    const service = await start(config);
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
  // The channel closes when whoever started us dies, however that came.
  process.on('disconnect', stop);
  // It may have died before this line.
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
