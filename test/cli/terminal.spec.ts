import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { outcomeOf as problemOf } from '../support/rejection.js';
import { hasTerminals, Shell } from './command.js';

let deployment: Deployment;
let ada: Account;
let shell: Shell;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  shell = await Shell.open();
});

afterAll(async () => {
  await shell.close();
  await deployment.stop();
});

(hasTerminals() ? describe : describe.skip)('on a terminal', () => {
  it('login asks for the password and does not show it', async () => {
    const terminal = shell.onTerminal(['login', '--url', deployment.url]);
    await terminal.shows(`Email at ${deployment.url}: `);
    terminal.type(`${ada.email}\r`);
    await terminal.shows('Password: ');
    terminal.type(`wrong${'\u007f'.repeat(5)}${ada.password}\r`);
    expect(await terminal.ended).toBe(0);
    const shown = stripVTControlCharacters(terminal.output);
    expect(shown).toContain(ada.email);
    expect(shown).toContain(`\r\nSigned in at ${deployment.url} as ${ada.email}; `);
    expect(shown).not.toMatch(new RegExp(`wrong|${ada.password}|\\*`));
  });

  it('login asks for an API key and does not show it', async () => {
    const { key } = await ada.client.apiKeys.create({ body: { name: 'Pasted', scopes: ['triggers:read'] } });
    const home = await Shell.open();
    const terminal = home.onTerminal(['login', '--api-key', '--url', deployment.url]);
    await terminal.shows('API key: ');
    terminal.type(`${key}\r`);
    expect(await terminal.ended).toBe(0);
    expect(terminal.output).not.toContain(key);
    expect(await readFile(home.credentials, 'utf8')).toContain(key);
    await home.close();
  });

  it('Ctrl-C at the prompt ends the command silently, and the terminal echoes again', async () => {
    const terminal = shell.onTerminal(['login', '--url', deployment.url, '--email', ada.email]);
    await terminal.shows('Password: ');
    terminal.type('\u0003');
    expect(await terminal.ended).toBe(130);
    expect(terminal.output).toBe('Password: \r\n');
  });

  it('a list is as wide as the terminal, with the most important columns', async () => {
    const name = 'A name that is far too long for a narrow terminal, and 漢字 in it';
    await ada.client.apiKeys.create({ body: { name, scopes: ['triggers:read'], environment: 'live' } });
    const list = ['keys', 'list', '--limit', '1'];
    const listAt = async (columns: number) => (await shell.run(list, { terminal: { columns } })).stdout.split('\n');
    const terminal = shell.onTerminal(list, { columns: 80 });
    expect(await terminal.ended).toBe(0);
    const narrow = stripVTControlCharacters(terminal.output).split('\r\n');
    expect(Math.max(...narrow.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(narrow[0]).toMatch(/^ID {30}NAME +STATUS {2}USES {2}LAST USED$/);
    expect(narrow[1]).toMatch(/^key_\w{26} {2}A name that[^…]*… {2}active +0 {2}-$/);
    const wide = await listAt(250);
    expect(wide[0]).toMatch(/^ID {30}NAME +STATUS {2}ENVIRONMENT {2}PREFIX +SCOPES +USES {2}LAST USED {2}EXPIRES$/);
    expect(wide[1]).toContain(`${name}  active  live `);
    // The terminal is narrower than the smallest row, which the command still prints in full.
    expect((await listAt(20))[1]).toMatch(/^key_\w{26} {2}A name that… {2}active$/);
  });

  it('output has colours unless NO_COLOR is set', async () => {
    const coloured = shell.onTerminal(['keys', 'list']);
    await coloured.ended;
    expect(coloured.output).toContain('\u001b[32mactive\u001b[39m');
    const plain = shell.onTerminal(['keys', 'list'], { env: { NO_COLOR: '1' } });
    await plain.ended;
    expect(plain.output).not.toContain('\u001b');
    expect(plain.output).toContain('active');
  });

  it('times are in the local time zone', async () => {
    const { id } = await ada.client.apiKeys.create({ body: { name: 'Timed', scopes: ['triggers:read'] } });
    await deployment.sql.query("UPDATE api_key SET expires_at = '2031-06-30 22:30:00Z' WHERE name = 'Timed'");
    const terminal = shell.onTerminal(['keys', 'list', '--search', 'Timed'], {
      columns: 250,
      env: { TZ: 'Europe/Berlin' },
    });
    await terminal.ended;
    expect(terminal.output).toMatch(new RegExp(`${id}.*2031-07-01 00:30\r\n`));
  });

  it('a new key is shown with all its fields', async () => {
    const { code, stdout, stderr } = await shell.run(['keys', 'create', 'Shown', '--scope', 'triggers:read'], {
      terminal: { columns: 80 },
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ID +key_\w+\nName +Shown\n/);
    expect(stdout).toMatch(/\n\nsk_test_\w{32}\n\n$/);
    expect(stderr).toBe('The key is shown only once: store it now.\n');
  });

  it.each([
    ['y', 0, 'revoked'],
    ['n', 1, 'done'],
    ['', 1, 'done'],
  ])('revoking asks first: %j', async (response, code, then) => {
    const { id, key } = await ada.client.apiKeys.create({ body: { name: 'Doomed', scopes: ['triggers:read'] } });
    const terminal = shell.onTerminal(['keys', 'revoke', id]);
    await terminal.shows(`Revoke ${id} (Doomed)? This cannot be undone. [y/N] `);
    terminal.type(`${response}\r`);
    expect(await terminal.ended).toBe(code);
    expect(terminal.output).toContain(code === 0 ? `${id} (Doomed) is revoked.` : 'Nothing was revoked.');
    expect(await problemOf(deployment.client({ apiKey: key }).auth.whoami())).toBe(then);
  });

  it('events are shown as they happen, until Ctrl-C', async () => {
    const terminal = shell.onTerminal(['audit', 'tail', '--after', '0']);
    await terminal.shows('api_key.created');
    const { key } = await ada.client.apiKeys.create({ body: { name: 'Narrow', scopes: ['triggers:read'] } });
    await problemOf(deployment.client({ apiKey: key }).projects.list());
    await terminal.shows('\u001b[31mapi_key.denied\u001b[39m');
    terminal.type('\u0003');
    expect(await terminal.ended).toBe(0);
    // The terminal shows Ctrl-C itself, in any line.
    const lines = stripVTControlCharacters(terminal.output).replace('^C', '').split('\r\n');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it('an export to a file shows its progress', async () => {
    const file = join(shell.home, 'events.jsonl');
    const terminal = shell.onTerminal(['audit', 'export', '--output', file]);
    expect(await terminal.ended).toBe(0);
    expect(terminal.output).toMatch(/^\r\d+\.\d kB …/);
    expect(terminal.output).toMatch(/events\.jsonl: \d+\.\d kB\.\r\n$/);
  });

  it('--json is indented on a terminal', async () => {
    const { stdout } = await shell.run(['whoami', '--json'], { terminal: { columns: 80 } });
    expect(stdout).toMatch(/^\{\n {2}"type": "user",\n/);
    expect(JSON.parse(stdout)).toMatchObject({ user: { email: ada.email } });
  });
});
