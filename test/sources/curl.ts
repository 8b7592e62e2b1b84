import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describeWith } from '../support/left-out.js';

const root = join(import.meta.dirname, '../..');

export const DOCUMENTS = 'examples of published documents';

/** For tests that run the documents' own commands. */
export const withCurl = describeWith('bash', ['-c', 'curl --version'], DOCUMENTS, 'install bash and curl');

/** Runs a command and returns its output. Fails if the command fails. */
export async function execute(
  command: string,
  args: string[],
  env: Record<string, string> = {},
  input = '',
): Promise<string> {
  const running = promisify(execFile)(command, args, {
    cwd: root,
    // Calls between processes of this machine must not go through a proxy.
    env: { ...process.env, NO_PROXY: '127.0.0.1', no_proxy: '127.0.0.1', ...env },
  });
  running.child.stdin?.end(input);
  return (await running).stdout;
}

export interface Answer {
  readonly status: number;
  /** Undefined if the response has no body. */
  readonly body: Record<string, unknown> | undefined;
}

/** Runs a curl command of a document, with the further options in .curlrc. */
export async function curl(command: string): Promise<Answer> {
  const output = await execute('bash', ['-c', command], { CURL_HOME: import.meta.dirname });
  const [, body, status] = /^(.*)\n(\d{3})$/s.exec(output)!;
  return { status: Number(status), body: body ? (JSON.parse(body) as Record<string, unknown>) : undefined };
}
