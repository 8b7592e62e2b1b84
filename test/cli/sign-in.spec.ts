import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { outcomeOf, Shell } from './command.js';

let deployment: Deployment;
let ada: Account;
let shell: Shell;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  ada = await deployment.account();
});

afterAll(() => deployment.stop());

beforeEach(async () => {
  shell = await Shell.open();
});

afterEach(() => shell.close());

const kept = async () => JSON.parse(await readFile(shell.credentials, 'utf8')) as Record<string, string>;
const keep = (credentials: object) => writeFile(shell.credentials, JSON.stringify(credentials), { mode: 0o600 });
/** Ends the access token, as if ten minutes had passed. */
const endAccessToken = async () => keep({ ...(await kept()), access_token_ends_at: new Date().toISOString() });

describe('keyledger login', () => {
  it('reads the password from standard input, and stores the session for its owner only', async () => {
    const { code, stdout, stderr } = await shell.run(['login', '--url', `${deployment.url}/`, '--email', ada.email], {
      input: `${ada.password}\nand a line that is nothing to us\n`,
    });
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toBe(`Signed in at ${deployment.url} as ${ada.email}; the credential is in ${shell.credentials}.\n`);
    expect((await stat(shell.credentials)).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(shell.credentials))).mode & 0o777).toBe(0o700);
    expect(await readdir(dirname(shell.credentials))).toEqual(['credentials.json']);
    expect(await kept()).toMatchObject({ url: deployment.url, refresh_token: expect.stringMatching(/^rt_/) });
    expect(JSON.stringify(await kept())).not.toContain(ada.password);

    const who = await shell.run(['whoami']);
    expect(who.stdout).toMatch(new RegExp(`^User +${ada.userId}\nEmail +${ada.email}\n`));
  });

  it('lets the user change the name that others see, and says what is wrong with a name', async () => {
    await shell.signIn(deployment.url, ada);
    expect((await shell.run(['account', 'rename', ' Ada King '])).stdout).toMatch(/^Name +Ada King$/m);
    expect((await shell.run(['whoami'])).stdout).toMatch(/^Name +Ada King$/m);
    const { code, stderr } = await shell.run(['account', 'rename', 'x'.repeat(101)]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/NAME.*must have at most 100/) });
  });

  it('with an API key verifies the key and then stores it', async () => {
    const { key, id } = await ada.client.apiKeys.create({ body: { name: 'For a shell', scopes: ['triggers:read'] } });
    const login = ['login', '--api-key', '--url', deployment.url];
    const wrong = await shell.run(login, { input: `${key.slice(0, -1)}\n` });
    expect(wrong.code).toBe(77);
    expect(wrong.stderr).toMatch(/^The API key is not valid\. Check that .* \(invalid_key, request req_\w+\)\n$/);
    await expect(stat(shell.credentials)).rejects.toThrow('ENOENT');

    const right = await shell.run(login, { input: key });
    expect(right.stderr).toContain(`as the API key For a shell (${id})`);
    expect(await kept()).toEqual({ url: deployment.url, api_key: key });
    expect(JSON.parse((await shell.run(['whoami', '--json'])).stdout)).toMatchObject({ api_key: { id } });
    expect((await shell.run(['logout'])).code).toBe(0);
    await expect(stat(shell.credentials)).rejects.toThrow('ENOENT');
  });

  it.each([
    [
      'a wrong password',
      ['--email', 'nobody@example.com'],
      'wrong\n',
      77,
      /^Email or password is wrong\. .*\(invalid_cr/,
    ],
    ['no password', ['--email', 'nobody@example.com'], '', 64, /^No password was given: write it as one line/],
    ['no API key', ['--api-key'], '', 64, /^No API key was given: write it as one line/],
    ['no email', [], 'secret\n', 64, /^Without a terminal, the email is required: add --email EMAIL\.$/m],
    ['an invalid key', ['--api-key'], 'two words\n', 64, /^An API key is one word without spaces/],
    ['a key and an email', ['--api-key', '--email', 'a@example.com'], '', 64, /cannot be used with option '--api-key'/],
  ])('rejects %s', async (_, args, input, code, sentence) => {
    const outcome = await shell.run(['login', '--url', deployment.url, ...args], { input });
    expect(outcome).toMatchObject({ code, stdout: '', stderr: expect.stringMatching(sentence) });
    expect(outcome.stderr).not.toMatch(/two words|secret/);
  });

  it.each([
    'keys.example.com',
    'ftp://keys.example.com',
    'https://ada:hidden@keys.example.com',
    'https://k.example/?a=b',
  ])('rejects %s as an address', async (url) => {
    const option = await shell.run(['login', '--url', url, '--email', 'a@example.com'], { input: 'x\n' });
    expect(option).toMatchObject({ code: 64, stderr: expect.stringMatching(/^--url must be the address of a Key/) });
    const variable = await shell.run(['whoami'], { env: { KEYLEDGER_URL: url } });
    expect(variable).toMatchObject({ code: 78, stderr: expect.stringMatching(/^KEYLEDGER_URL must be the address/) });
    expect(option.stderr + variable.stderr).not.toContain('hidden');
  });

  it('rejects a secret as an argument, and does not repeat it', async () => {
    for (const args of [['--password=hunter2'], ['--api-key=sk_test_hunter2'], ['--api-key', 'hunter2'], ['hunter2']]) {
      const { code, stdout, stderr } = await shell.run(['login', ...args]);
      expect(code).toBe(64);
      expect(stderr).toMatch(/^error: unknown option|^Do not pass a password or key as an argument/);
      expect(stdout + stderr).not.toContain('hunter2');
    }
  });

  it('warns if the connection is not encrypted', async () => {
    const login = ['login', '--email', 'a@example.com', '--url'];
    const { stderr } = await shell.run([...login, 'http://keys.invalid'], { input: 'x\n' });
    expect(stderr).toMatch(/^Warning: requests to http:\/\/keys\.invalid are not encrypted/);
    expect((await shell.run([...login, deployment.url], { input: 'x\n' })).stderr).not.toContain('Warning');
  });
});

describe('a stored credential', () => {
  beforeEach(() => shell.signIn(deployment.url, ada));

  it('is refreshed when its access token expires, and when the server rejects it', async () => {
    const first = await kept();
    await endAccessToken();
    expect((await shell.run(['whoami'])).code).toBe(0);
    const second = await kept();
    expect(second['refresh_token']).not.toBe(first['refresh_token']);
    expect((await stat(shell.credentials)).mode & 0o777).toBe(0o600);

    await keep({ ...second, access_token: 'not one of theirs' });
    expect((await shell.run(['whoami'])).code).toBe(0);
    expect((await kept())['refresh_token']).not.toBe(second['refresh_token']);
  });

  it('is refreshed once by many commands at once', async () => {
    const before = (await kept())['refresh_token'];
    await endAccessToken();
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => shell.runProcess(['whoami'])));
    expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    const { rows } = await deployment.sql.query<{ count: string }>(
      `SELECT count(*) FROM refresh_token WHERE session_id =
         (SELECT session_id FROM refresh_token ORDER BY created_at DESC LIMIT 1)`,
    );
    expect(rows).toEqual([{ count: '2' }]);
    expect((await kept())['refresh_token']).not.toBe(before);
    expect(await readdir(dirname(shell.credentials))).toEqual(['credentials.json']);
  });

  it('that the server has ended leads to advice to sign in again', async () => {
    const { data } = await ada.client.auth.listSessions();
    for (const { id, current } of data) if (!current) await ada.client.auth.endSession({ params: { id } });
    const { code, stderr } = await shell.run(['whoami']);
    expect(code).toBe(77);
    expect(stderr).toMatch(/^The refresh token is not valid\. The session has ended: run `keyledger login`\. \(inv/);
    expect((await shell.run(['logout'])).code).toBe(0);
  });

  it('ends with `keyledger logout`, locally and on the server', async () => {
    const { refresh_token } = await kept();
    const { code, stderr } = await shell.run(['logout']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: `Signed out: ${shell.credentials} is removed.\n` });
    const again = deployment.client().auth.refresh({ body: { refresh_token: refresh_token! } });
    await expect(again).rejects.toThrow('invalid_refresh_token');
    expect(await shell.run(['logout'])).toMatchObject({ code: 0, stderr: 'You are not signed in.\n' });
    expect(await shell.run(['whoami'])).toMatchObject({
      code: 77,
      stderr: expect.stringMatching(/^You are not signed/),
    });
  });

  it.each([0o644, 0o640, 0o604])('in a file of mode %o is rejected with advice', async (mode) => {
    await chmod(shell.credentials, mode);
    const { code, stderr } = await shell.run(['whoami']);
    expect(code).toBe(78);
    expect(stderr).toContain(`can be read by others: run \`chmod 600 ${shell.credentials}\``);
    expect(stderr).not.toContain((await kept())['refresh_token']);
    await chmod(shell.credentials, 0o600);
    expect((await shell.run(['whoami'])).code).toBe(0);
  });

  it('in a damaged file is rejected without showing it', async () => {
    const { refresh_token } = await kept();
    await writeFile(shell.credentials, `{"refresh_token":"${refresh_token}"`);
    const { code, stderr } = await shell.run(['whoami']);
    expect({ code, stderr }).toEqual({
      code: 78,
      stderr: `${shell.credentials} has an unknown format: remove it and sign in again.\n`,
    });
  });

  it('is not sent to another server', async () => {
    const other = 'http://127.0.0.1:9';
    const { code, stderr } = await shell.run(['whoami'], { env: { KEYLEDGER_URL: other } });
    expect(code).toBe(77);
    expect(stderr).toContain(`You are signed in at ${deployment.url}, but KEYLEDGER_URL is ${other}`);
  });

  it('has less precedence than KEYLEDGER_API_KEY, which is sent to the same server unless KEYLEDGER_URL is set', async () => {
    const { key, id } = await ada.client.apiKeys.create({ body: { name: 'CI', scopes: ['triggers:read'] } });
    const env = { KEYLEDGER_API_KEY: key };
    expect((await shell.run(['whoami'], { env })).stdout).toContain(`API key       ${id}\n`);
    const kept = shell.credentials;
    await chmod(kept, 0o644);
    const both = await shell.run(['whoami'], { env: { ...env, KEYLEDGER_URL: deployment.url } });
    expect(both.stdout).toContain(`API key       ${id}\n`);
    const wrong = await shell.run(['whoami'], { env: { KEYLEDGER_API_KEY: `${key}\nhunter2` } });
    expect(wrong).toMatchObject({ code: 78, stderr: expect.stringMatching(/^KEYLEDGER_API_KEY must be an API key/) });
    expect(wrong.stderr).not.toContain('hunter2');
  });
});

describe('a server', () => {
  let server: Server | undefined;

  afterEach(() => {
    server?.close();
  });

  const response = async (status: number, headers: Record<string, string>, body: string) => {
    server = createServer((_, response) => response.writeHead(status, headers).end(body)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return {
      KEYLEDGER_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      KEYLEDGER_API_KEY: 'sk_test_x',
    };
  };

  it('that does not respond is reported with its address', async () => {
    const env = await response(200, {}, '');
    server!.close();
    const { code, stderr } = await shell.run(['whoami'], { env });
    expect(code).toBe(69);
    expect(stderr).toMatch(
      /^Keyledger does not respond at http:\/\/127\.0\.0\.1:\d+ \(ECONNREFUSED\): start it, or [^\n]*\.\n$/,
    );
  });

  it('that is not Keyledger is reported', async () => {
    const { code, stderr } = await shell.run(['whoami'], { env: await response(200, {}, '<html>') });
    expect({ code, stderr }).toMatchObject({
      code: 69,
      stderr: expect.stringMatching(/^The server is not Keyle/),
    });
  });

  it('that redirects does not get the credentials at the new address', async () => {
    const env = await response(302, { location: 'http://elsewhere.invalid/' }, '');
    const { code, stderr } = await shell.run(['whoami'], { env });
    expect({ code, stderr }).toMatchObject({
      code: 69,
      stderr: expect.stringContaining('redirects to http://elsewhere.invalid/'),
    });
  });

  it('that is unavailable does not prevent a local sign-out', async () => {
    await mkdir(dirname(shell.credentials));
    const session = { refresh_token: 'rt', access_token: 'at', access_token_ends_at: new Date(0).toISOString() };
    await keep({ url: 'http://127.0.0.1:9', ...session });
    const { code, stderr } = await shell.run(['logout']);
    expect(code).toBe(69);
    expect(stderr).toMatch(
      /^The session at http:\S+ could not be ended\. .*\nSigned out: .*\nKeyledger does not respond/,
    );
    await expect(stat(shell.credentials)).rejects.toThrow('ENOENT');
  });
});

it('a command that is killed at a prompt leaves nothing behind', async () => {
  const child = shell.start(['login', '--url', deployment.url, '--email', ada.email]);
  const ended = outcomeOf(child);
  child.kill('SIGKILL');
  expect((await ended).code).toBe('SIGKILL');
  expect(await readdir(shell.home)).toEqual([]);
});
