import { script } from '@bomb.sh/tab';
import tab from '@bomb.sh/tab/commander';
import type { Command } from 'commander';

/** The shells for which there is a script. */
export type Shell = 'bash' | 'zsh' | 'fish';

/** Prints the script that asks `keyledger complete` for suggestions whenever the user presses Tab. */
export function printScript(shell: Shell): void {
  script(shell, 'keyledger', 'keyledger');
}

/**
 * Prints suggestions for what the user has typed.
 * @param program a command line of its own, to which the library adds commands
 * @param words the words after `keyledger`; the last one is not complete
 */
export function suggest(program: Command, words: readonly string[]): void {
  tab(program, { completionCommandName: 'completion' }).parse([...words]);
}
