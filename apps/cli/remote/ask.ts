import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { EXIT_INTERRUPTED, EXIT_USAGE } from '../exit-codes.js';
import { Failure } from './failure.js';

/** Whether a user can be prompted. Prompts go to stderr, because stdout may be redirected to a file. */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

export function ask(question: string): Promise<string> {
  return onTerminal(question, process.stderr);
}

/** Prompts without echo on a terminal; reads the first line of a pipe. Other users could see an argument. */
export async function askSecret(what: string): Promise<string> {
  const secret = process.stdin.isTTY ? await hidden(`${what}: `) : await firstLine();
  if (secret) return secret;
  throw new Failure(`No ${what.toLowerCase()} was given: it is read as one line from standard input.`, EXIT_USAGE);
}

async function hidden(question: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const answer = onTerminal('', nowhere);
  // Written only now, when the terminal no longer echoes the input.
  process.stderr.write(question);
  return answer.finally(() => process.stderr.write('\n'));
}

function onTerminal(question: string, output: NodeJS.WritableStream): Promise<string> {
  const lines = createInterface({ input: process.stdin, output, terminal: true, historySize: 0 });
  return new Promise<string>((resolve, reject) => {
    lines.question(question, resolve);
    // Closed without a line: Ctrl-C or Ctrl-D.
    lines.once('SIGINT', () => lines.close());
    lines.once('close', () => reject(new Failure('', EXIT_INTERRUPTED)));
  }).finally(() => lines.close());
}

async function firstLine(): Promise<string> {
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) return line;
  return '';
}
