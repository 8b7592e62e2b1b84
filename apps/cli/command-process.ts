/** The parts of a process that a command uses: its environment, its streams and its signals. */
export type CommandProcess = Pick<NodeJS.Process, 'env' | 'stdin' | 'stdout' | 'stderr' | 'on'>;
