import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { Shell } from './command.js';

const SNIPPETS = new URL('../../apps/dashboard/api-keys/snippets.ts', import.meta.url);

let deployment: Deployment;
let ada: Account;
let shell: Shell;
let key: { readonly id: string; readonly key: string };

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  ada = await deployment.account();
  shell = await Shell.open();
  await shell.signIn(deployment.url, ada);
  key = await ada.client.apiKeys.create({ body: { name: 'Program', scopes: ['triggers:read'] } });
});

afterAll(async () => {
  await shell.close();
  await deployment.stop();
});

describe('the credential of a command', () => {
  it('does not change if the variable of the dashboard for a program is exported', async () => {
    const [, name] = /^const VARIABLE = '(\w+)'/m.exec(await readFile(SNIPPETS, 'utf8')) ?? [];
    const { code, stdout } = await shell.run(['whoami', '--json'], { env: { [name!]: key.key } });
    expect({ code, who: JSON.parse(stdout) }).toMatchObject({
      code: 0,
      who: { type: 'user', user: { id: ada.userId } },
    });
  });

  it('is shown with its server and where it comes from', async () => {
    const stored = await shell.run(['whoami']);
    expect(stored.stdout).toMatch(new RegExp(`^Server +${deployment.url}\nCredential +${shell.credentials}\n`, 'm'));
    const variable = await shell.run(['whoami'], { env: { KEYLEDGER_API_KEY: key.key } });
    expect(variable.stdout).toMatch(new RegExp(`^API key +${key.id}\n`));
    expect(variable.stdout).toMatch(new RegExp(`^Server +${deployment.url}\nCredential +KEYLEDGER_API_KEY\n`, 'm'));
    expect(variable.stdout).not.toContain(key.key);
  });
});
