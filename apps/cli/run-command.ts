import { CommanderError } from 'commander';
import { commandLine } from './command-line.js';
import type { CommandProcess } from './command-process.js';
import { EXIT_USAGE } from './exit-codes.js';
import { Failure } from './remote/failure.js';

/**
 * Runs one command of the command line.
 * @param args the arguments after `keyledger`
 * @param host what it uses instead of the process: a test gives its own
 * @returns the exit code
 */
export async function runCommand(args: readonly string[], host: CommandProcess): Promise<number> {
  let exitCode = 0;
  try {
    await commandLine(host, (code) => (exitCode = code)).parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    if (error instanceof Failure) return tell(host, error.message, error.exitCode);
    const { ConfigError, EXIT_CONFIG } = await import('#libs/platform/config.js');
    if (error instanceof ConfigError) return tell(host, error.message, EXIT_CONFIG);
    throw error;
  }
}

/** An empty message means that the user already knows why the command ends. */
function tell(host: CommandProcess, sentence: string, exitCode: number): number {
  if (sentence) host.stderr.write(`${sentence}\n`);
  return exitCode;
}
