import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe } from '@jest/globals';
import { leftOut } from '../support/left-out.js';

const root = join(import.meta.dirname, '../..');

/** For tests that run the documents' own commands. */
export const withCurl = describeWith('bash', ['-c', 'curl --version'], 'install bash and curl');

/** `describe` if the command succeeds. Otherwise the tests are skipped, and the run says so. */
export function describeWith(command: string, args: string[], how: string): typeof describe | typeof describe.skip {
  if (spawnSync(command, args).status === 0) return describe;
  leftOut(`examples of published documents need ${[command, ...args].join(' ')}`, how);
  return describe.skip;
}

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
