import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startDeployment, type Deployment } from '../support/deployment.js';
import { builtModule } from '../support/built-module.js';
import { Shell } from './command.js';

const { commandLine } = await builtModule<typeof import('../../apps/cli/command-line.js')>(
  '../../apps/cli/command-line.js',
);

let deployment: Deployment;
let shell: Shell;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  shell = await Shell.open();
  const ada = await deployment.account();
  await shell.signIn(deployment.url, ada);
});

afterAll(async () => {
  await shell.close();
  await deployment.stop();
});

const EXIT_USAGE = 64;
const EXIT_CONFIG = 78;
const ID = 'key_01h455vb4pex5vsknk084sn02q';

describe('wrong input is rejected before any effect, with a suggestion:', () => {
  it.each<[string[], RegExp]>([
    [['whoam'], /unknown command 'whoam'\n\(Did you mean whoami\?\)/],
    [['keys', 'lst'], /unknown command 'lst'\n\(Did you mean list\?\)/],
    [['key', 'list'], /unknown command 'key'\n\(Did you mean keys\?\)/],
    [['operator', 'ad'], /unknown command 'ad'\n\(Did you mean add\?\)/],
    [['help', 'keyz'], /unknown command 'keyz'\n\(Did you mean keys\?\)/],
    [['help', 'keys', 'lst'], /unknown command 'lst'\n\(Did you mean list\?\)/],
    [['help', 'whoami', 'now'], /'whoami' has no command 'now'/],
    [['whoami', '--jsn'], /unknown option '--jsn'\n\(Did you mean --json\?\)/],
    [['keys', 'list', '--statuss', 'active'], /unknown option '--statuss'\n\(Did you mean --status\?\)/],
    [['keys', 'list', '--Status', 'active'], /unknown option '--Status'/],
    [['keys', 'create', 'x', '--scopes', 'triggers:read'], /unknown option '--scopes'\n\(Did you mean --scope\?\)/],
    [['keys', 'create', 'x', '--allowed-ips', '192.0.2.1'], /unknown option '--allowed-ips'/],
    [['operator', 'add', '--jsn'], /unknown option '--jsn'/],
    [['whoami', '--json=false'], /unknown option '--json=…'/],
    [['whoami', 'now'], /too many arguments/],
    [['keys', 'create', 'x', 'y'], /too many arguments/],
    [['up', '--port', '3000'], /unknown option '--port'/],
    [['up', 'now'], /too many arguments/],
    [['migrate', 'now'], /too many arguments/],
    [['migrate', '--dry-run'], /unknown option '--dry-run'/],
    [['whoami', '--json', '--json'], /option '--json' may be given only once/],
    [['keys', 'list', '--status', 'active', '--status', 'active'], /option '--status <STATUS>' may be given only once/],
    [['keys', 'list', '--limit', '5', '--limit=6'], /option '--limit <COUNT>' may be given only once/],
    [['keys', 'create', 'x', '--project', 'a', '--project', 'b'], /option '--project <NAME>' may be given only once/],
    [['audit', 'list', '--type', 'a', '--type', 'b'], /option '--type <TYPES>' may be given only once/],
    [['keys', 'create', 'x', '--scope', ''], /option '--scope <SCOPE>' must not be empty/],
    [['keys', 'create', 'x', '--scope='], /option '--scope <SCOPE>' must not be empty/],
    [['keys', 'create', 'x', '--scope', 'triggers:read', '--scope', ' '], /option '--scope <SCOPE>' must not be empty/],
    [['keys', 'create', 'x', '--allowed-ip', ''], /option '--allowed-ip <ADDRESS>' must not be empty/],
    [['keys', 'create', 'x', '--rate-limit', ''], /option '--rate-limit <LIMIT>'/],
    [['keys', 'create', 'x', '--organization', ''], /option '--organization <NAME>' must not be empty/],
    [['keys', 'create', 'x', '--project', ''], /option '--project <NAME>' must not be empty/],
    [['keys', 'create', 'x', '--environment', ''], /option '--environment <ENVIRONMENT>'/],
    [['keys', 'create', 'x', '--expires', ''], /option '--expires <DAYS>'/],
    [['keys', 'create', ''], /argument 'NAME' must not be empty/],
    [['keys', 'revoke', '', '--yes'], /argument 'KEY' must not be empty/],
    [['keys', 'rotate', ' '], /argument 'KEY' must not be empty/],
    [['operator', 'add', ''], /argument 'EMAIL' must not be empty/],
    [['operator', 'add', 'ada'], /EMAIL must be an address/],
    [['audit', 'list', '--key', ''], /option '--key <NAME>' must not be empty/],
    [['audit', 'tail', '--outcome', ''], /option '--outcome <CODES>' must not be empty/],
    [['audit', 'export', '--output', ''], /option '--output <FILE>' must not be empty/],
    [['audit', 'export', '--format', 'CSV'], /option '--format <FORMAT>' argument 'CSV' is invalid/],
    [['login', '--url', ''], /option '--url <URL>' must not be empty/],
    ...['', ' 5s', '5s ', '+5s', '-5s', '5.0s', '1e1s', '5', '5,', '5 s', '5S', '1h30m', 'many'].map(
      (text): [string[], RegExp] => [
        ['keys', 'rotate', ID, `--grace=${text}`],
        /option '--grace <DURATION>' argument '.*' is invalid\. It must be a duration/,
      ],
    ),
    ...['', '90', '36h', '1.5d', '-1d', 'Never', 'none'].map((text): [string[], RegExp] => [
      ['keys', 'create', 'x', `--expires=${text}`],
      /option '--expires <DAYS>' argument '.*' is invalid\. It must be a number of days, such as 30d, or never/,
    ]),
    ...['', ' 5', '5 ', '+5', '-5', '5.0', '1e1', '0x10', '5,', 'many'].map((text): [string[], RegExp] => [
      ['keys', 'list', `--limit=${text}`],
      /option '--limit <COUNT>' argument '.*' is invalid\. It must be a whole number/,
    ]),
    ...[
      '',
      'yesterday',
      '7',
      '7D',
      '7 d',
      '-7d',
      '1e1d',
      '7d ',
      '2026-1-1',
      '2026-02-30',
      '2026-01-31T25:00',
      '2026-01-31 09:30',
      '1769850000',
    ].map((text): [string[], RegExp] => [
      ['audit', 'list', `--from=${text}`],
      /option '--from <TIME>' argument '.*' is invalid\. It must be a time/,
    ]),
    ...['100/60s', 'a=1e2/60s', 'a=100/60', 'a=100/60 s', 'a=-1/60s', 'a=/60s', '=100/60s', 'a=100/60s,b=1/1s'].map(
      (text): [string[], RegExp] => [
        ['keys', 'create', 'x', `--rate-limit=${text}`],
        /option '--rate-limit <LIMIT>' argument '.*' is invalid\. It must be a name/,
      ],
    ),
  ])('%j', async (args, sentence) => {
    const { code, stdout, stderr } = await shell.run(args);
    expect({ code, stdout }).toEqual({ code: EXIT_USAGE, stdout: '' });
    expect(stderr).toMatch(sentence);
  });

  it('every option and command with a letter too much', async () => {
    type Command = Pick<ReturnType<typeof commandLine>, 'options' | 'commands'>;
    const misspelt = (command: Command, path: string[]): { args: string[]; meant: string }[] => [
      ...command.options.flatMap(({ long }) => (long ? [{ args: [...path, `${long}x`], meant: long }] : [])),
      // Scripts call `complete`, and no user.
      ...command.commands
        .filter((child) => child.name() !== 'complete')
        .flatMap((child) => [
          { args: [...path, `${child.name()}x`], meant: child.name() },
          ...misspelt(child, [...path, child.name()]),
        ]),
    ];
    const all = misspelt(
      commandLine(process, () => undefined),
      [],
    );
    expect(all.length).toBeGreaterThan(100);
    const accepted = [];
    for (const { args, meant } of all) {
      const { code, stdout, stderr } = await shell.run(args);
      const isSuggested = new RegExp(`Did you mean.* ${meant}\\b`).test(stderr);
      if (code !== EXIT_USAGE || stdout !== '' || !isSuggested) accepted.push({ args, code, stderr });
    }
    expect(accepted).toEqual([]);
  });

  it('no key was created or ended', async () => {
    const { stdout } = await shell.run(['keys', 'list', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ total: 0 });
  });
});

describe('a misspelt variable stops a command with one sentence:', () => {
  it.each<[string[], string, string]>([
    [['whoami'], 'KEYLEDGER_URI', 'KEYLEDGER_URL'],
    [['keys', 'list'], 'KEYLEDGER_APIKEY', 'KEYLEDGER_API_KEY'],
    [['audit', 'list'], 'Keyledger_Url', 'KEYLEDGER_URL'],
    [['audit', 'verify'], 'KEYLEDGER_URI', 'KEYLEDGER_URL'],
    [['audit', 'verify', 'file'], 'KEYLEGDER_URL', 'KEYLEDGER_URL'],
    [['logout'], 'KEY_LEDGER_URL', 'KEYLEDGER_URL'],
    [['keys', 'create', 'x'], 'KEYLEDGR_API_KEY', 'KEYLEDGER_API_KEY'],
    [['audit', 'check'], 'DATA_FOLDER', 'DATA_DIR'],
    [['audit', 'replay', '--check'], 'RECORD_ACTORS', 'RECORD_ACTOR'],
    [['audit', 'requeue'], 'URL_DATABASE', 'DATABASE_URL'],
    [['audit', 'new-epoch'], 'ANCHOR_PATH', 'ANCHOR_FILE'],
    [['audit', 'rotate-key'], 'ANCHOR_PATH', 'ANCHOR_FILE'],
    [['migrate'], 'DATABASE_URI', 'DATABASE_URL'],
    [['operator', 'add'], 'PUBLIC_URI', 'PUBLIC_URL'],
    [['up'], 'TRUSTED_PROXY', 'TRUST_PROXY'],
  ])('%j with %s', async (args, name, meant) => {
    const given = { env: { [name]: 'http://127.0.0.1:1' } };
    // `up` takes the signals and the channel of its process for itself: Jest's process would not end afterwards.
    const { code, stderr } = await (args[0] === 'up' ? shell.runProcess(args, given) : shell.run(args, given));
    expect({ code, stderr }).toEqual({
      code: EXIT_CONFIG,
      stderr: `${name} is not a setting, but looks like ${meant}: correct its name, or unset it.\n`,
    });
  });

  it('remote commands ignore the settings of a server', async () => {
    expect(await shell.run(['whoami'], { env: { TRUSTED_PROXY: 'x', PORT: 'x' } })).toMatchObject({ code: 0 });
  });
});

it('options for lists may be repeated', async () => {
  const args = ['keys', 'create', 'Several', '--scope', 'triggers:read', '--scope', 'events:read'];
  const limits = [
    '--rate-limit',
    'a=1/1s',
    '--rate-limit',
    'b=2/1m',
    '--allowed-ip',
    '192.0.2.1',
    '--allowed-ip',
    '::1',
  ];
  const { code, stdout } = await shell.run([...args, ...limits, '--json']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    scopes: ['triggers:read', 'events:read'],
    allowed_ips: ['192.0.2.1', '::1'],
    rate_limits: [{ name: 'a' }, { name: 'b' }],
  });
});

describe('the program itself', () => {
  it('ends with the exit code of its command, and separates its output from its messages', async () => {
    const env = { KEYLEDGER_URL: 'http://127.0.0.1:9', KEYLEDGER_API_KEY: 'sk_test_x' };
    for (const [args, code] of [
      [['whoami', '--help'], 0],
      [['whoam'], EXIT_USAGE],
      [['whoami'], 69],
    ] as const) {
      const outcome = await shell.runProcess([...args], { env });
      expect(outcome).toEqual(await shell.run([...args], { env }));
      expect(outcome).toMatchObject({ code, [code === 0 ? 'stderr' : 'stdout']: '' });
    }
  });
});
