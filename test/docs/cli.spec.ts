import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from '@jest/globals';
import { MAIN, outcomeOf, Shell } from '../cli/command.js';
import { startDeployment } from '../support/deployment.js';

const DOCUMENT = new URL('../../docs/cli.md', import.meta.url);

/**
 * These commands of the guide run in processes of their own: one of each family. The others run in the process of the
 * test: a separate process takes half a second of a core.
 */
const APART = ['login *', 'keys create *', '* --output *', 'audit check'];

const KEYLEDGER = `
  keyledger() {
    case "$*" in ${APART.map((pattern) => pattern.replaceAll(' ', '\\ ')).join(' | ')})
      '${process.execPath}' '${MAIN}' "$@"
      return
    esac
    local call=$(mktemp -d "$PWD/call-XXXXXX")
    printf '%s\\0' "$@" >"$call/args"
    command curl -sS --noproxy '*' --data-binary @"$call/args" "$RUNNER$call"
    cat "$call/stdout"
    cat "$call/stderr" >&2
    return $(<"$call/code")
  }
`;

/** Runs a command in this process for each request, and writes its outcome into the folder that the path names. */
async function startRunner(shell: Shell, env: NodeJS.ProcessEnv): Promise<Server> {
  const server = createServer((request, response) => {
    const respond = async () => {
      const args = Buffer.concat(await request.toArray())
        .toString()
        .split('\0')
        .slice(0, -1);
      const outcome = await shell.run(args, { env });
      for (const [name, text] of Object.entries(outcome)) await writeFile(`${request.url!}/${name}`, String(text));
      response.end();
    };
    respond().catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

it('every command of docs/cli.md works as printed, except for the address', async () => {
  const text = await readFile(DOCUMENT, 'utf8');
  const deployment = await startDeployment();
  const shell = await Shell.open();
  // `keyledger audit check` reads the database itself.
  const env = { DATABASE_URL: deployment.database.apiUrl };
  const runner = await startRunner(shell, env);
  try {
    const password = 'nine lamps above the quay';
    await deployment.client().auth.register({ body: { email: 'ada@example.com', password, name: 'Ada' } });
    const blocks = Array.from(text.matchAll(/```sh run\n(.*?)```/gs), ([, block]) => block!);
    const script = [
      KEYLEDGER,
      ...blocks.map((block) => block.replaceAll('http://127.0.0.1:3000', deployment.url)),
      'echo; echo "$KEY $NEW $ID"',
    ].join('\n');
    const { code, stdout, stderr } = await outcomeOf(
      spawn('bash', ['--norc', '-euo', 'pipefail', '-c', script], {
        env: shell.env({ ...env, RUNNER: `http://127.0.0.1:${(runner.address() as AddressInfo).port}` }),
        cwd: shell.home,
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/^Signed in at /) });
    expect(stdout).toMatch(/^Email +ada@example\.com$/m);
    expect(stdout).toMatch(/^triggers:read +application/m);
    expect(stdout).toMatch(
      /"type":"api_key","api_key":\{"id":"(key_\w+)".*\n[^]*^\1 \(Production server\) is revoked\.$/m,
    );
    expect(stdout).toMatch(/ api_key\.created +Production server .* key_\w+$/m);
    expect(stdout).toMatch(/^Checked \d+ audit logs? with \d+ entries\. Everything/m);
    expect(stdout).toMatch(/^\{"logs":1,"entries":\d+,"pruned":0,"differences":\[\]\}$/m);
    expect(stdout).toMatch(/^Replayed \d+ events of \d+ organizations\. The database is as the audit logs say\.$/m);
    expect(stdout).toMatch(/^\{"organizations":1,"events":\d+,"differences":\[\],"gaps":\[\]\}$/m);
    expect(stdout).toMatch(/\nsk_test_\w{32} sk_test_\w{32} key_\w{26}\n$/);
  } finally {
    runner.close();
    await shell.close();
    await deployment.stop();
  }
});

it('the guide shows every command', async () => {
  const text = await readFile(DOCUMENT, 'utf8');
  const shell = await Shell.open();
  const commandsOf = async (...group: string[]) => {
    const { stdout } = await shell.run([...group, '--help']);
    return Array.from(stdout.matchAll(/^ {2}([a-z]+)(?: \[\w+\.*\]| <\w+>)* {2,}\S/gm), ([, name]) => [
      ...group,
      name!,
    ]);
  };
  const names = [...(await commandsOf()), ...(await commandsOf('keys')), ...(await commandsOf('audit'))];
  expect(names).toEqual(expect.arrayContaining([['login'], ['keys', 'revoke'], ['audit', 'list']]));
  const missing = names
    .map((name) => `keyledger ${name.join(' ')}`)
    .filter((command) => command !== 'keyledger help' && !text.includes(command));
  await shell.close();
  expect(missing).toEqual([]);
});
