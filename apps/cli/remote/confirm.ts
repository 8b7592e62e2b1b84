import type { CommandProcess } from '../command-process.js';
import { EXIT_REFUSED, EXIT_USAGE } from '../exit-codes.js';
import { ask, canAsk } from './ask.js';
import { Failure } from './failure.js';
import { printable } from './text.js';

interface Final {
  /** What the command does, as in `Revoking`. */
  readonly doing: string;
  /** What did not happen, as in `revoked`. */
  readonly done: string;
  readonly question: () => Promise<string>;
  /** Default: it cannot be undone. */
  readonly canBeUndone?: boolean;
}

/**
 * Asks before a change that cannot be undone, or that changes much.
 * @throws Failure unless the user agrees at the terminal, or agreed with --yes
 */
export async function confirm(host: CommandProcess, yes: boolean | undefined, change: Final): Promise<void> {
  if (yes) return;
  if (!canAsk(host)) {
    const why = change.canBeUndone
      ? `${change.doing} many keys needs a confirmation.`
      : `${change.doing} cannot be undone.`;
    throw new Failure(`${why} Without a terminal, confirm it with --yes.`, EXIT_USAGE);
  }
  const answer = await ask(
    host,
    `${printable(await change.question())}?${change.canBeUndone ? '' : ' This cannot be undone.'} [y/N] `,
  );
  if (!/^y(es)?$/i.test(answer.trim())) throw new Failure(`Nothing was ${change.done}.`, EXIT_REFUSED);
}
