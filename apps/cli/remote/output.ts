import { commandProcess } from '../command-process.js';
import { EXIT_OUTPUT } from '../exit-codes.js';
import { Failure } from './failure.js';
import type { Layout } from './table.js';

/** Where a terminal does not say how wide it is. */
const USUAL_WIDTH = 80;

/** For people on a terminal as wide as it is, with colours unless NO_COLOR is set; whole and plain in a pipe. */
export function layoutOf(stream: NodeJS.WriteStream): Layout {
  if (!stream.isTTY) return { width: Infinity, colours: false };
  return { width: stream.columns || USUAL_WIDTH, colours: stream.hasColors() };
}

/** What programs get: the API's answer, one document. */
export function json(document: unknown): string {
  return `${JSON.stringify(document, null, commandProcess().stdout.isTTY ? 2 : 0)}\n`;
}

// Each write learns of its own failure; without a listener the event would end the process.
process.stdout.on('error', () => undefined);

/**
 * @throws Failure when it cannot be written; a silent one where the reader has only seen enough, as in
 *   `keyledger keys list | head -1`.
 */
export async function write(output: string | Uint8Array): Promise<void> {
  const failed = await new Promise<NodeJS.ErrnoException | null | undefined>((resolve) =>
    commandProcess().stdout.write(output, resolve),
  );
  if (failed?.code === 'EPIPE') throw new Failure('', 0);
  if (failed) throw new Failure(`The output could not be written (${failed.code}).`, EXIT_OUTPUT);
}

/** For people, beside the output. */
export function note(text: string): void {
  commandProcess().stderr.write(`${text}\n`);
}
