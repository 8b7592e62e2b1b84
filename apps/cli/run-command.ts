import { CommanderError } from 'commander';
import { commandLine } from './command-line.js';
import { commandProcess, runWithin, type CommandProcess } from './command-process.js';
import { EXIT_USAGE } from './exit-codes.js';
import { Failure } from './remote/failure.js';

/**
 * Runs one command of the command line.
 * @param args the arguments after `keyledger`
 * @param own what it uses instead of the process: a test gives its own
 * @returns the exit code
 */
export function runCommand(args: readonly string[], own: CommandProcess): Promise<number> {
  return runWithin(own, () => run(args));
}

async function run(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  try {
    await commandLine((code) => (exitCode = code)).parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    if (error instanceof Failure) return tell(error.message, error.exitCode);
    const { ConfigError, EXIT_CONFIG } = await import('#libs/platform/config.js');
    if (error instanceof ConfigError) return tell(error.message, EXIT_CONFIG);
    throw error;
  }
}

/** An empty message means that the user already knows why the command ends. */
function tell(sentence: string, exitCode: number): number {
  if (sentence) commandProcess().stderr.write(`${sentence}\n`);
  return exitCode;
}
