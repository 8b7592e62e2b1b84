import { AsyncLocalStorage } from 'node:async_hooks';

/** What a command uses of the process that it runs in: its environment, its streams and its signals. */
export type CommandProcess = Pick<NodeJS.Process, 'env' | 'stdin' | 'stdout' | 'stderr' | 'on'>;

const given = new AsyncLocalStorage<CommandProcess>();

/** The process of the command that calls it: the process itself, unless `runWithin` gives another. */
export function commandProcess(): CommandProcess {
  return given.getStore() ?? process;
}

export function environment(): NodeJS.ProcessEnv {
  return commandProcess().env;
}

/** Runs a command with an environment, streams and signals that are not those of the process itself. */
export function runWithin<Result>(own: CommandProcess, run: () => Result): Result {
  return given.run(own, run);
}
