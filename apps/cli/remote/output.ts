import type { CommandProcess } from '../command-process.js';
import { EXIT_OUTPUT } from '../exit-codes.js';
import { Failure } from './failure.js';
import type { Layout } from './table.js';

/** Used if the terminal does not report its width. */
const USUAL_WIDTH = 80;

/** On a terminal: its width, and colours unless NO_COLOR is set. In a pipe: unlimited width, no colours. */
export function layoutOf(stream: NodeJS.WriteStream): Layout {
  if (!stream.isTTY) return { width: Infinity, colours: false };
  return { width: stream.columns || USUAL_WIDTH, colours: stream.hasColors() };
}

/** The API's response as one JSON document, for programs. */
export function json(host: CommandProcess, document: unknown): string {
  return `${JSON.stringify(document, null, host.stdout.isTTY ? 2 : 0)}\n`;
}

// Each write handles its own failure; without a listener the event would end the process.
process.stdout.on('error', () => undefined);

/**
 * @throws Failure if the output cannot be written; without a message if the reader closed the pipe, as in `keyledger
 *   keys list | head -1`
 */
export async function write(host: CommandProcess, output: string | Uint8Array): Promise<void> {
  const failed = await new Promise<NodeJS.ErrnoException | null | undefined>((resolve) =>
    host.stdout.write(output, resolve),
  );
  if (failed?.code === 'EPIPE') throw new Failure('', 0);
  if (failed) throw new Failure(`The output could not be written (${failed.code}).`, EXIT_OUTPUT);
}

/** Writes a message for people to stderr, apart from the output. */
export function note(host: CommandProcess, text: string): void {
  host.stderr.write(`${text}\n`);
}
