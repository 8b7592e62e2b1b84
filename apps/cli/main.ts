import { ConfigError, EXIT_CONFIG } from '#libs/platform/config.js';

interface Command {
  readonly summary: string;
  /** @returns the exit code. Commands are imported when they run: each needs much that the others do not. */
  run(args: string[]): Promise<number>;
}

/** `EX_USAGE` of sysexits.h. */
const EXIT_USAGE = 64;

const commands: Record<string, Command> = {
  up: {
    summary: 'run everything: PostgreSQL unless DATABASE_URL names one, the API and the worker',
    run: async () => (await import('./up.js')).up(process.env),
  },
  migrate: {
    summary: 'prepare the database that DATABASE_URL names',
    run: async () => (await import('./migrate-command.js')).migrateCommand(process.env),
  },
  operator: {
    summary: 'operator add [EMAIL]: a one-time link that makes somebody an operator of this deployment',
    run: async (args) => (await import('./operator-command.js')).operatorCommand(args, process.env),
  },
};

async function main([name = '', ...args]: string[]): Promise<number> {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) {
    process.stderr.write(usage());
    return EXIT_USAGE;
  }
  try {
    return await command.run(args);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return EXIT_CONFIG;
  }
}

function usage(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}\n`);
  return `usage: keyledger COMMAND\n\n${lines.join('')}`;
}

// Ends even if something forgot to close what it had opened.
process.exit(await main(process.argv.slice(2)));
