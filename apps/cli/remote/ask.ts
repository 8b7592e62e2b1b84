import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { CommandProcess } from '../command-process.js';
import { EXIT_INTERRUPTED, EXIT_USAGE } from '../exit-codes.js';
import { Failure } from './failure.js';

/** The message does not repeat the argument, which may be a secret. */
export const NO_SECRET_ARGUMENTS =
  'Do not pass a password or key as an argument, because every process of the machine can read it. The command asks for ' +
  'it, or reads it from standard input. If the argument was a secret, change it.';

/** Whether a user can be prompted. Prompts go to stderr, because stdout may be redirected to a file. */
export function canAsk(host: CommandProcess): boolean {
  return host.stdin.isTTY && host.stderr.isTTY;
}

export function ask(host: CommandProcess, question: string): Promise<string> {
  return onTerminal(host, question, host.stderr);
}

/**
 * Prompts without echo on a terminal; reads the first line of a pipe. Other users could see an argument.
 * @param what it is, as within a sentence
 */
export async function askSecret(host: CommandProcess, what: string): Promise<string> {
  const prompt = `${what.charAt(0).toUpperCase()}${what.slice(1)}: `;
  const secret = host.stdin.isTTY ? await hidden(host, prompt) : await firstLine(host);
  if (secret) return secret;
  throw new Failure(`No ${what} was given: write it as one line to standard input.`, EXIT_USAGE);
}

async function hidden(host: CommandProcess, question: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const answer = onTerminal(host, '', nowhere);
  // Written only now, when the terminal no longer echoes the input.
  host.stderr.write(question);
  return answer.finally(() => host.stderr.write('\n'));
}

function onTerminal(host: CommandProcess, question: string, output: NodeJS.WritableStream): Promise<string> {
  const lines = createInterface({ input: host.stdin, output, terminal: true, historySize: 0 });
  return new Promise<string>((resolve, reject) => {
    lines.question(question, resolve);
    // Closed without a line: Ctrl-C or Ctrl-D.
    lines.once('SIGINT', () => lines.close());
    lines.once('close', () => reject(new Failure('', EXIT_INTERRUPTED)));
  }).finally(() => lines.close());
}

async function firstLine(host: CommandProcess): Promise<string> {
  const lines = createInterface({ input: host.stdin });
  for await (const line of lines) return line;
  return '';
}
