import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { commandProcess } from '../command-process.js';
import { EXIT_INTERRUPTED, EXIT_USAGE } from '../exit-codes.js';
import { Failure } from './failure.js';

/** Whether somebody is there to be asked. The questions go to stderr: stdout may be on its way to a file. */
export function canAsk(): boolean {
  return commandProcess().stdin.isTTY && commandProcess().stderr.isTTY;
}

export function ask(question: string): Promise<string> {
  return onTerminal(question, commandProcess().stderr);
}

/** On a terminal nothing of the answer is shown; in a pipe it is the first line. An argument would be seen by everybody. */
export async function askSecret(what: string): Promise<string> {
  const secret = commandProcess().stdin.isTTY ? await hidden(`${what}: `) : await firstLine();
  if (secret) return secret;
  throw new Failure(`No ${what.toLowerCase()} was given: it is read as one line from standard input.`, EXIT_USAGE);
}

async function hidden(question: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const answer = onTerminal('', nowhere);
  // Only now, when the terminal does not show what is typed any more.
  commandProcess().stderr.write(question);
  return answer.finally(() => commandProcess().stderr.write('\n'));
}

function onTerminal(question: string, output: NodeJS.WritableStream): Promise<string> {
  const lines = createInterface({ input: commandProcess().stdin, output, terminal: true, historySize: 0 });
  return new Promise<string>((resolve, reject) => {
    lines.question(question, resolve);
    // Without a line: Ctrl-C, or Ctrl-D.
    lines.once('SIGINT', () => lines.close());
    lines.once('close', () => reject(new Failure('', EXIT_INTERRUPTED)));
  }).finally(() => lines.close());
}

async function firstLine(): Promise<string> {
  const lines = createInterface({ input: commandProcess().stdin });
  for await (const line of lines) return line;
  return '';
}
