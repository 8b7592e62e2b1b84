import { ConfigError, EXIT_CONFIG, readConfig, type Config } from './config.js';

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
export async function runProcess(start: (config: Config) => Promise<RunningService>): Promise<void> {
  try {
    const service = await start(readConfig(process.env));
    stopOnDemand(service);
    process.send?.({ type: 'ready', url: service.url });
  } catch (error) {
    process.stderr.write(`${sentenceFor(error)}\n`);
    process.exit(error instanceof ConfigError || isTakenPort(error) ? EXIT_CONFIG : 1);
  }
}

function stopOnDemand(service: RunningService): void {
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(1), STOP_DEADLINE_MS).unref();
    void service.stop().then(
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

function isTakenPort(error: unknown): error is NodeJS.ErrnoException & { port: number } {
  return (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
}

function sentenceFor(error: unknown): string {
  if (error instanceof ConfigError) return error.message;
  if (isTakenPort(error)) return `PORT ${error.port} is taken by another process; stop it or set PORT to a free one.`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
