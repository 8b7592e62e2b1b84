import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { commandProcess } from '../command-process.js';
import { EXIT_INTERRUPTED, EXIT_USAGE } from '../exit-codes.js';
import { Failure } from './failure.js';

/** Whether a user can be prompted. Prompts go to stderr, because stdout may be redirected to a file. */
export function canAsk(): boolean {
  return commandProcess().stdin.isTTY && commandProcess().stderr.isTTY;
}

export function ask(question: string): Promise<string> {
  return onTerminal(question, commandProcess().stderr);
}

/** Prompts without echo on a terminal; reads the first line of a pipe. Other users could see an argument. */
export async function askSecret(what: string): Promise<string> {
  const secret = commandProcess().stdin.isTTY ? await hidden(`${what}: `) : await firstLine();
  if (secret) return secret;
  throw new Failure(`No ${what.toLowerCase()} was given: write it as one line to standard input.`, EXIT_USAGE);
}

async function hidden(question: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const answer = onTerminal('', nowhere);
  // Written only now, when the terminal no longer echoes the input.
  commandProcess().stderr.write(question);
  return answer.finally(() => commandProcess().stderr.write('\n'));
}

function onTerminal(question: string, output: NodeJS.WritableStream): Promise<string> {
  const lines = createInterface({ input: commandProcess().stdin, output, terminal: true, historySize: 0 });
  return new Promise<string>((resolve, reject) => {
    lines.question(question, resolve);
    // Closed without a line: Ctrl-C or Ctrl-D.
    lines.once('SIGINT', () => lines.close());
    lines.once('close', () => reject(new Failure('', EXIT_INTERRUPTED)));
  }).finally(() => lines.close());
}

async function firstLine(): Promise<string> {
  const lines = createInterface({ input: commandProcess().stdin });
  for await (const line of lines) return line;
  return '';
}
