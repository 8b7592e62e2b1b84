import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { expect, it } from '@jest/globals';
import { MAIN, outcomeOf, Shell } from '../cli/command.js';
import { startDeployment } from '../support/deployment.js';

const DOCUMENT = new URL('../../docs/cli.md', import.meta.url);

it('every command of docs/cli.md works as printed, except for the address', async () => {
  const text = await readFile(DOCUMENT, 'utf8');
  const deployment = await startDeployment();
  const shell = await Shell.open();
  try {
    const password = 'nine lamps above the quay';
    await deployment.client().auth.register({ body: { email: 'ada@example.com', password, name: 'Ada' } });
    const blocks = Array.from(text.matchAll(/```sh run\n(.*?)```/gs), ([, block]) => block!);
    const script = [
      `keyledger() { '${process.execPath}' '${MAIN}' "$@"; }`,
      ...blocks.map((block) => block.replaceAll('http://127.0.0.1:3000', deployment.url)),
      'echo; echo "$KEY $NEW $ID"',
    ].join('\n');
    const { code, stdout, stderr } = await outcomeOf(
      spawn('bash', ['--norc', '-euo', 'pipefail', '-c', script], {
        // `keyledger audit check` reads the database itself.
        env: shell.env({ DATABASE_URL: deployment.database.apiUrl }),
        cwd: shell.home,
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
