import { CommanderError } from 'commander';
import { commandLine } from './command-line.js';
import { EXIT_USAGE } from './exit-codes.js';
import { Failure } from './remote/failure.js';

async function main(args: string[]): Promise<number> {
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
  if (sentence) process.stderr.write(`${sentence}\n`);
  return exitCode;
}

// Exits even if a command forgot to close something that it opened.
process.exit(await main(process.argv.slice(2)));
