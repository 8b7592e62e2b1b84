import { AsyncLocalStorage } from 'node:async_hooks';

/** The parts of a process that a command uses: its environment, its streams and its signals. */
export type CommandProcess = Pick<NodeJS.Process, 'env' | 'stdin' | 'stdout' | 'stderr' | 'on'>;

const given = new AsyncLocalStorage<CommandProcess>();

/** The process of the calling command: the real process, unless `runWithin` gives another one. */
export function commandProcess(): CommandProcess {
  return given.getStore() ?? process;
}

export function environment(): NodeJS.ProcessEnv {
  return commandProcess().env;
}

/** Runs a command with another environment, other streams and other signals than those of the real process. */
export function runWithin<Result>(own: CommandProcess, run: () => Result): Result {
  return given.run(own, run);
}
